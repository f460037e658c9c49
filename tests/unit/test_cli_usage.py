"""Wrong use exits with 2 and says what is right; the plain commands need neither gRPC nor protobuf."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from perdure_server.cli import options
from perdure_server.cli.main import invoke
from perdure_server.core.errors import PerdureError

WRONG = [
    (["nonsense"], "No such command"),
    (["sesions"], "did you mean 'sessions'?"),
    (["sessions", "lst"], "did you mean 'list'?"),
    (["run"], "Missing argument"),
    (["run", "x.py:main", "--var", "novalue"], "KEY=VALUE"),
    (["resume", "s1", "--all"], "either an ID or --all"),
    (["sessions", "signal", "s1"], "NAME of a signal or --wake"),
    (["sessions", "signal", "s1", "go", "--wake"], "NAME of a signal or --wake"),
    (["sessions", "fork", "s1"], "--from"),
    (["sessions", "fork", "s1", "--from", "-1"], "--from"),
    (["sessions", "fork", "s1", "--from", "1", "--build", "a", "--from-dir", "b"], "either --build or --from-dir"),
    (["sessions", "replay", "s1", "--pdb", "--json"], "--pdb is for people"),
    (["sessions", "list", "--state", "lost"], "--state"),
    (["sessions", "history"], "Missing argument"),
    (["deploy"], "no perdure.yaml or autokitteh.yaml here"),
    (["host"], "--coordinator"),
    (["explain", "P051"], "did you mean 'P0501'?"),
    (["completion", "powershell"], "powershell"),
    (["serve", "--runner", "ray"], "ray"),
]


@pytest.mark.parametrize(
    ("arguments", "said"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_wrong_use_is_exit_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize("text", ["{", "{'a': 1}", "[1,]", "NaN", "", "1 2", "[" * 100_000])
def test_an_event_that_is_no_json_is_p0201(text: str) -> None:
    with pytest.raises(PerdureError) as caught:
        options.event(text)
    assert caught.value.code == "P0201"


def test_an_event_that_is_no_json_is_shown_with_a_caret(tmp_path: Path) -> None:
    file = tmp_path / "e.json"
    file.write_text('{"a": 1,\n "b": }\n')
    with pytest.raises(PerdureError) as caught:
        options.event(f"@{file}")
    assert caught.value.render().splitlines()[:3] == [
        f"error[P0201] {file}:2:7 is no JSON: Expecting value",
        '   "b": }',
        "        ^",
    ]


def test_an_event_from_a_file_that_is_not_there_is_p0110(tmp_path: Path) -> None:
    with pytest.raises(PerdureError) as caught:
        options.event(f"@{tmp_path / 'none'}")
    assert caught.value.code == "P0110"


def test_an_event_keeps_its_text() -> None:
    assert options.event('{"n": 1.0, "é": null}') == '{"n": 1.0, "é": null}'.encode()
    assert options.event(None) == b"null"


def test_explain_lists_and_explains(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["explain", "--json"]) == 0
    codes = {each["code"] for each in json.loads(capsys.readouterr().out)}
    assert {"P0101", "P0702"} <= codes
    assert invoke(["explain", "p0207"]) == 0
    assert capsys.readouterr().out.startswith("P0207: ")


def test_config_shows_what_a_flag_would_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PERDURE_GRACE", "3")
    assert invoke(["config", "--json", "--home", "there"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["home"]["value"], document["home"]["origin"]) == ("there", "flag")
    assert (document["grace"]["value"], document["grace"]["origin"]) == (3.0, "PERDURE_GRACE")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", shell]) == 0
    assert "_PERDURE_COMPLETE" in capsys.readouterr().out


HEAVY = {"grpc", "google.protobuf", "rich", "sqlalchemy", "sqlite3", "asyncio", "yaml", "watchfiles", "alembic"}


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["--version"]])
def test_the_plain_commands_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    """What keeps them fast; the time itself depends on the machine."""
    script = (
        "import sys\nfrom perdure_server.cli.main import invoke\n"
        f"code = invoke({arguments!r})\nprint('MODULES', *sys.modules)\nsys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60
    )
    modules = set(ran.stdout.rpartition("MODULES")[2].split())
    assert not HEAVY & modules
    assert "perdure_server.cli.main" in modules
