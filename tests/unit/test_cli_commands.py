"""Commands against a fake coordinator: what they ask, what they print, what they exit with."""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import cli_samples as samples
import pytest
from click.shell_completion import ShellComplete
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1 import runner_pb2 as runner
from perdure_server.cli import connect, version
from perdure_server.cli.main import cli, invoke
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

Run = Callable[..., int]
pytestmark = pytest.mark.usefixtures("_alone")


@pytest.fixture
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings and no home of the machine's user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith(("PERDURE_", "XDG_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> samples.FakeControl:
    """A coordinator that every command with `--server` talks to."""
    control_of_all = samples.FakeControl(sessions=[samples.session()])

    @asynccontextmanager
    async def remote(_settings: Settings, _at: str) -> AsyncIterator[samples.FakeControl]:
        yield control_of_all

    monkeypatch.setattr(connect, "remote", remote)
    monkeypatch.setenv("PERDURE_SERVER", "fake:1")
    return control_of_all


def test_list_asks_page_by_page_and_prints_one_document(
    fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.sessions = [samples.session(session_id=f"s{n}") for n in range(450)]
    assert invoke(["sessions", "list", "--json", "--limit", "420"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["session_id"] for each in document] == [f"s{n}" for n in range(420)]
    assert [request.limit for request in fake.asked] == [200, 200, 20]


def test_an_empty_list_is_an_empty_array(fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    fake.sessions = []
    assert invoke(["sessions", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_show_prints_the_document(fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    fake.entries = samples.activity(1, 1, samples.json_payload("42"))
    fake.logs = [samples.line(0, 0, "hé")]
    assert invoke(["sessions", "show", "s1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["prints"] == ["hé"]
    assert document["activities"][0]["result"] == 42
    assert invoke(["sessions", "show", "s1"]) == 0
    assert "requests.api.get" in capsys.readouterr().out


def test_history_logs_and_watch_are_lines_of_json(
    fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.entries = samples.activity(1, 1, samples.json_payload("42"))
    fake.logs = [samples.line(0, 0, "hello")]
    fake.updates = [control.SessionUpdate(log=fake.logs[0]), control.SessionUpdate(session=samples.session())]
    for verb, first in (("history", "seq"), ("logs", "at"), ("watch", "log")):
        assert invoke(["sessions", verb, "s1", "--json"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert first in lines[0]
    assert fake.asked[0].with_data


def test_stop_says_how(fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["sessions", "stop", "s1", "--grace", "3.5", "--reason", "enough", "--json"]) == 0
    assert fake.asked == [control.StopSessionRequest(session_id="s1", grace_s=3.5, reason="enough")]
    assert json.loads(capsys.readouterr().out) == {"session_id": "s1", "state": "stopped"}


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        (["go", '{"a": 1}'], control.SignalSessionRequest(session_id="s1", name="go", payload=b'{"a": 1}')),
        (["go"], control.SignalSessionRequest(session_id="s1", name="go", payload=b"null")),
        (["--wake"], control.SignalSessionRequest(session_id="s1", wake=True)),
    ],
)
def test_signal_sends_a_name_or_wakes(
    fake: samples.FakeControl, arguments: list[str], request_: control.SignalSessionRequest
) -> None:
    assert invoke(["sessions", "signal", "s1", *arguments]) == 0
    assert fake.asked == [request_]


def test_fork_shares_history_up_to_an_entry(fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["sessions", "fork", "s1", "--from", "7", "--build", "abc"]) == 0
    assert fake.asked == [control.ForkSessionRequest(session_id="s1", from_seq=7, build_id="abc")]
    out, err = capsys.readouterr()
    assert out == "s2 created\n"
    assert err == "perdure sessions watch s2 --server fake:1\n"


def test_a_replay_that_agrees_exits_with_0(fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    fake.replayed = control.ReplaySessionResponse(entries=7, done=runner.Done(state=runner.DONE_STATE_REPLAYED))
    assert invoke(["sessions", "replay", "s1"]) == 0
    assert capsys.readouterr().out == "replays: 7 entries, no difference\n"


def test_a_replay_that_differs_shows_both_calls_and_exits_with_4(
    fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    done = runner.Done(state=runner.DONE_STATE_DIVERGED, divergence=samples.divergence())
    fake.replayed = control.ReplaySessionResponse(entries=7, done=done)
    assert invoke(["sessions", "replay", "s1"]) == 4
    out = capsys.readouterr().out
    assert "main.py:12" in out
    assert "main.py:99" in out
    assert invoke(["sessions", "replay", "s1", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["agrees"] is False


def test_start_gives_the_event_as_it_was_written(fake: samples.FakeControl, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"n": 1.0}')
    assert invoke(["start", "main.py:main", "--project", "demo", "--event", "@event.json", "--no-durable"]) == 0
    assert fake.asked == [
        control.StartSessionRequest(project="demo", entry_point="main.py:main", event=b'{"n": 1.0}', not_durable=True)
    ]


@pytest.mark.parametrize(("state", "code"), [("completed", 0), ("failed", 1), ("stopped", 1), ("diverged", 4)])
def test_start_and_wait_exits_by_the_outcome(
    fake: samples.FakeControl, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    fake.sessions = [samples.session(state, error=journal.Error(type="E", message="m") if code else None)]
    fake.logs = [samples.line(0, 0, "hello")]
    fake.updates = [
        control.SessionUpdate(log=fake.logs[0]),
        control.SessionUpdate(log=fake.logs[0]),  # a watcher may be told twice
        control.SessionUpdate(session=fake.sessions[0]),
    ]
    assert invoke(["start", "main.py:main", "--wait"]) == code
    out, err = capsys.readouterr()
    assert out == "hello\n"
    assert f"{state}: session s1" in err
    assert invoke(["start", "main.py:main", "--wait", "--json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["state"] == state
    assert err == ""


def test_a_long_wait_can_be_left(fake: samples.FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    wait = journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=2**60)
    fake.sessions = [samples.session("waiting", waiting_for=wait)]
    fake.updates = [control.SessionUpdate(session=fake.sessions[0])] * 2
    assert invoke(["start", "main.py:main", "--wait", "--detach", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "waiting"
    assert invoke(["start", "main.py:main", "--wait", "--detach"]) == 0
    assert capsys.readouterr().err.startswith("waiting for a timer, until 9999")


def test_shells_are_offered_session_ids(fake: samples.FakeControl) -> None:
    fake.sessions = [samples.session(session_id=each) for each in ("ab", "ac", "bd")]
    offered = ShellComplete(cli, {}, "perdure", "_PERDURE_COMPLETE").get_completions(["sessions", "show"], "a")
    assert [item.value for item in offered] == ["ab", "ac"]


def test_a_shell_is_offered_nothing_where_there_is_no_home() -> None:
    assert ShellComplete(cli, {}, "perdure", "_PERDURE_COMPLETE").get_completions(["sessions", "show"], "") == []


def test_a_home_that_is_not_there_is_said_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["sessions", "list", "--home", "nowhere"]) == 2
    assert "P0110" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_a_named_server_that_does_not_answer_is_exit_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["sessions", "list", "--server", "127.0.0.1:9", "--json"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "error[P0207]" in err


def test_an_endpoint_of_a_dead_process_is_not_used(tmp_path: Path) -> None:
    endpoint = tmp_path / "endpoint.json"
    assert connect.endpoint(tmp_path) is None
    endpoint.write_text(json.dumps({"grpc": "127.0.0.1:1", "pid": 2**30}))
    assert connect.endpoint(tmp_path) is None
    endpoint.write_text("[]")
    assert connect.endpoint(tmp_path) is None
    endpoint.write_text(json.dumps({"grpc": "127.0.0.1:1", "pid": os.getpid()}))
    assert connect.endpoint(tmp_path) == "127.0.0.1:1"


def test_a_fault_of_ours_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(version, "_serving", lambda _: 1 / 0)
    assert invoke(["version"]) == 70
    err = capsys.readouterr().err
    assert err.startswith("perdure has a fault: ZeroDivisionError")
    assert "Traceback" not in err
    (file,) = tmp_path.glob("perdure-fault-*.txt")
    assert str(file) in err
    assert "ZeroDivisionError" in file.read_text()


def test_an_error_of_ours_is_rendered_and_exits_by_its_code(
    fake: samples.FakeControl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def unknown(_: control.GetSessionRequest) -> control.Session:
        raise PerdureError("P0204", "unknown session 's9'", help="perdure sessions list")

    monkeypatch.setattr(fake, "get_session", unknown)
    assert invoke(["sessions", "show", "s9"]) != 0
    assert capsys.readouterr().err == "error[P0204] unknown session 's9'\nhelp: perdure sessions list\n"
