"""What `check` does to a session: it ends its waits, kills its runner once, and forks whole calls only."""

import asyncio
from collections.abc import AsyncIterator

import cli_samples as samples
import pytest
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_server.cli.laboratory import Kills, Laboratory
from perdure_server.core.errors import PerdureError

TEMPLATE = control.StartSessionRequest(project="demo", build_id="b", entry_point="main.py:main")
SIGNAL = journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=["go", "stop"])
SIGNAL_WITH_DEADLINE = journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=["go"], fires_at_us=samples.T0)
FAR_US = 4_000_000_000_000_000  # in the year 2096
TIMER = journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=FAR_US)
SOON = journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=1)


class AnyId(samples.FakeControl):
    """Every session is the same but for its id. It ends when it gets a signal, or after a while; with `hangs` never."""

    hangs = False
    signalled = False

    async def get_session(self, request: control.GetSessionRequest) -> control.Session:
        session = control.Session()
        session.CopyFrom(self.sessions[0])
        session.session_id = request.session_id
        return session

    async def watch_session(self, request: control.WatchSessionRequest) -> AsyncIterator[control.SessionUpdate]:
        for update in self.updates:
            update.session.session_id = request.session_id
            yield update
            for _ in range(100):
                if not self.signalled:
                    await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()

    async def signal_session(self, request: control.SignalSessionRequest) -> control.SignalSessionResponse:
        self.signalled = True
        return await super().signal_session(request)


class FakeTwins:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | int, ...]] = []

    async def lend(self, project: str, build_id: str, other: str) -> None:
        self.asked.append((project, build_id, other))

    async def repeat(self, session_id: str, from_seq: int) -> str:
        self.asked.append((session_id, from_seq))
        return f"{session_id}~again"


def lab(remote: samples.FakeControl, signals: dict[str, bytes] | None = None) -> Laboratory:
    return Laboratory(remote, FakeTwins(), Kills(), TEMPLATE, signals or {})


def test_a_runner_is_killed_once_after_the_entry_that_was_named() -> None:
    kills = Kills({"s1": 3})
    entries = [samples.row(seq, 1, journal.ENTRY_KIND_STARTED) for seq in (2, 3)]
    assert kills.fault("s1", 0, entries[0]) is None
    assert kills.fault("s2", 0, entries[1]) is None
    assert kills.fault("s1", 0, entries[1]) == "kill-runner"
    assert kills.fault("s1", 0, entries[1]) is None


@pytest.mark.parametrize(
    ("wait", "signals", "asked"),
    [
        (TIMER, {}, {"wake": True}),
        (SIGNAL, {"stop": b"1"}, {"name": "stop", "payload": b"1"}),
        (SIGNAL_WITH_DEADLINE, {}, {"wake": True}),
        (SIGNAL_WITH_DEADLINE, {"go": b"2"}, {"name": "go", "payload": b"2"}),
    ],
)
async def test_long_waits_are_ended_at_once(
    wait: journal.Wait, signals: dict[str, bytes], asked: dict[str, object]
) -> None:
    waiting = control.SessionUpdate(session=samples.session("waiting", waiting_for=wait))
    remote = AnyId(sessions=[samples.session()], updates=[waiting])
    await lab(remote, signals).undisturbed()
    expected = control.SignalSessionRequest(session_id="check-000000", **asked)  # type: ignore[arg-type]
    assert [each for each in remote.asked if isinstance(each, control.SignalSessionRequest)] == [expected]


async def test_a_short_timer_takes_its_time() -> None:
    waiting = control.SessionUpdate(session=samples.session("waiting", waiting_for=SOON))
    remote = AnyId(sessions=[samples.session()], updates=[waiting])
    await lab(remote).undisturbed()
    assert not [each for each in remote.asked if isinstance(each, control.SignalSessionRequest)]


async def test_a_signal_that_nobody_sends_is_asked_for() -> None:
    waiting = control.SessionUpdate(session=samples.session("waiting", waiting_for=SIGNAL))
    remote = AnyId(sessions=[samples.session()], updates=[waiting])
    with pytest.raises(PerdureError, match="go or stop") as caught:
        await lab(remote).undisturbed()
    assert caught.value.help == "say what it gets: --signal NAME=JSON"


async def test_a_killed_run_is_also_compared_with_a_replay_of_its_whole_calls() -> None:
    entries = samples.activity(1, 1, samples.json_payload("1"))
    remote = AnyId(sessions=[samples.session()], entries=entries, logs=[samples.line(1, 0, "a")])
    experiments = lab(remote)
    reference = await experiments.undisturbed()
    assert await experiments.killed(2, reference) == []
    started = [(e.session_id, e.project) for e in remote.asked if isinstance(e, control.StartSessionRequest)]
    assert started == [("check-000000", "demo"), ("check-000002", "demo.check-000002")]
    assert experiments.kills.planned == {"check-000002": 2}
    assert isinstance(experiments.twins, FakeTwins)
    assert experiments.twins.asked == [("demo", "b", "demo.check-000002"), ("check-000002", 2)]


async def test_a_run_that_does_not_end_is_a_difference_at_its_last_call() -> None:
    remote = AnyId(sessions=[samples.session()], entries=samples.activity(1, 1, samples.json_payload("1")))
    experiments = lab(remote)
    reference = await experiments.undisturbed()
    remote.hangs, experiments.patience_s = True, 0.0
    (found,) = await experiments.killed(1, reference)
    assert (found.after, found.difference.file, found.difference.line) == (1, "main.py", 11)
    assert found.difference.what == "no end within 0 s"
