"""A session on its host, with real zygotes and processes and a stand-in for the child half."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from host_support import FakeCoordinator, HostLimits, HostPatience, running
from hypothesis import given
from hypothesis import strategies as st
from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.states import COMMANDS, FRAMES, State

IMPATIENT = HostPatience(suspend_s=0.2, exit_s=0.5)


def _gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _group(pid: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getpgid(int(name)) == pid and not _gone(int(name)):
                found.append(int(name))
        except ProcessLookupError:
            pass
    return found


async def _no_group(pid: int) -> None:
    """Return when nothing of the group lives: a signal is sent before it has done its work."""
    async with asyncio.timeout(60):
        while _group(pid):
            await asyncio.sleep(0.001)


async def test_a_session_from_start_to_done(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start("echo:3")
        attached = await coordinator.next("attached")
        assert (attached.session_id, attached.epoch) == ("s", 1)
        done = await coordinator.next("done")
        assert (done.no, done.state, done.result.data) == (4, runner.DONE_STATE_COMPLETED, b"null")
        assert [record.no for record in coordinator.records()] == [1, 2, 3]


async def test_the_runner_inherits_nothing_but_its_socket(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        limits = runner.Limits(payload_bytes=5, log_line_bytes=6)
        rule = runner.ActivityRule(pattern="a.*", timeout_s=1.5, retry=runner.RetryPolicy(max_attempts=3))
        coordinator.start("report", vars={"A": "b"}, limits=limits, activities=[rule], hash_seed=7, project="p")
        seen = json.loads((await coordinator.next("done")).result.data)
        zygote = next(iter(host._backend.zygotes))
        assert seen["descriptors"] == [0, 1, 2, 3]
        assert seen["group"]
        assert seen["stdin"] == ""
        assert seen["files"] == [1024, 1024]
        assert seen["core"] == [0, 0]
        assert seen["ours"] == []
        assert seen["parent"] == zygote.pid
        assert set(seen["environment"]) <= {
            "PATH", "LANG", "HOME", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "LC_CTYPE",
            "PERDURE_PURE",
        }  # fmt: skip
        assert os.listdir(seen["environment"]["HOME"]) == []
        start = seen["start"]
        assert (start["session"], start["entry"], start["event"], start["seed"]) == ("s", "report", "null", 7)
        assert (start["vars"], start["project"], start["logged"]) == ({"A": "b"}, "p", [0, -1])
        assert {name: most for name, most in start["limits"].items() if most} == {
            "payload_bytes": 5, "log_line_bytes": 6,
        }  # fmt: skip
        assert start["rules"][0]["pattern"] == "a.*"
        assert start["rules"][0]["retry"]["max_attempts"] == 3
        assert (Path(start["code"]) / "handlers.py").is_file()
        assert Path(start["cache"]).is_dir()


async def test_the_hash_seed_is_the_session_s(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        hashes = []
        for number, seed in enumerate((1, 2, 1)):
            coordinator.start("report", session_id=f"s{number}", hash_seed=seed)
            hashes.append(json.loads((await coordinator.next("done")).result.data)["hash"])
        assert hashes[0] == hashes[2] != hashes[1]


async def test_a_memory_limit_comes_on_top_of_what_is_inherited(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        for size, had in ((16 << 20, b"true"), (256 << 20, b"false")):
            limits = runner.Limits(memory_bytes=64 << 20)
            coordinator.start(f"allocate:{size}", session_id=str(size), limits=limits)
            assert (await coordinator.next("done")).result.data == had


async def test_history_arrives_in_order_whenever_it_comes(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        start = runner.Start(session_id="s", epoch=1, entry_point="report", build=next(iter(coordinator.blobs)))
        host.receive(runner.ToHost(start=start))
        rows = [
            journal.Entry(
                seq=number,
                lane="main",
                ordinal=number,
                kind=journal.ENTRY_KIND_MARKER,
                outcome=journal.Payload(encoding=journal.ENCODING_JSON, data=b"1" * 3_000_000, size=3_000_000),
            )
            for number in range(1, 8)
        ]
        coordinator.page(rows[:4], last=False)
        coordinator.page(rows[4:], last=True)
        seen = json.loads((await coordinator.next("done")).result.data)
        assert seen["start"]["history"] == 7


async def test_a_waiting_session_is_resolved(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("wait")
        waiting = await coordinator.next("waiting")
        assert [(wait.lane, wait.ordinal) for wait in waiting.waits] == [("main", 1)]
        assert not waiting.busy
        assert host.sessions["s"].state is State.WAITING
        fired = journal.Entry(
            seq=2,
            lane="main",
            ordinal=1,
            kind=journal.ENTRY_KIND_RESOLVED,
            resolution=journal.Resolution(kind=journal.RESOLUTION_KIND_FIRED),
        )
        host.receive(runner.ToHost(resolved=runner.Resolved(session_id="s", epoch=1, entry=fired)))
        assert (await coordinator.next("done")).result.data == b"1"
        kinds = [message.WhichOneof("message") for message in coordinator.heard]
        assert kinds == ["hello", "attached", "live", "records", "waiting", "done"]


async def test_a_waiting_session_is_suspended(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("wait")
        pid = (await coordinator.next("attached")).pid
        await coordinator.next("waiting")
        coordinator.stop(runner.STOP_KIND_SUSPEND)
        await coordinator.next("suspended")
        assert _gone(pid)
        assert not host.sessions


async def test_a_session_that_does_not_suspend_is_killed_and_suspended_all_the_same(tmp_path: Path) -> None:
    async with running(tmp_path, patience=IMPATIENT) as (_host, coordinator):
        coordinator.start("stubborn")
        pid = (await coordinator.next("attached")).pid
        coordinator.stop(runner.STOP_KIND_SUSPEND)
        await coordinator.next("suspended")
        await _no_group(pid)


async def test_a_kill_takes_the_whole_group(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start("stubborn")
        pid = (await coordinator.next("attached")).pid
        assert len(_group(pid)) == 2
        coordinator.stop(runner.STOP_KIND_KILL, reason="test")
        lost = await coordinator.next("lost")
        assert (lost.reason, lost.exit_code, lost.fatal) == ("killed: test", -signal.SIGKILL, False)
        await _no_group(pid)


async def test_a_polite_stop_is_a_frame_and_a_signal(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start("polite")
        await coordinator.next("attached")
        coordinator.stop(runner.STOP_KIND_POLITE, reason="enough")
        done = await coordinator.next("done")
        assert (done.state, done.error.message) == (runner.DONE_STATE_STOPPED, "enough")


@pytest.mark.parametrize(
    ("how", "exit_code", "says"),
    [
        ("3", 3, "exited with code 3"),
        ("-6", -signal.SIGABRT, "killed by SIGABRT"),
        ("raise", 70, "RuntimeError: the stand-in broke"),
    ],
)
async def test_a_crash_is_told_with_what_the_process_said(tmp_path: Path, how: str, exit_code: int, says: str) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start(f"crash:{how}")
        lost = await coordinator.next("lost")
        assert (lost.exit_code, lost.code, lost.fatal) == (exit_code, "", False)
        assert says in lost.reason
        assert "something at C level" in lost.reason


async def test_only_the_end_of_much_output_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start(f"chatter:{1 << 20}")
        lost = await coordinator.next("lost")
        assert lost.exit_code == -signal.SIGSEGV
        assert lost.reason.endswith("last words")
        assert "first words" not in lost.reason
        assert len(lost.reason) < 10_000


async def test_a_runner_that_closes_its_socket_is_killed(tmp_path: Path) -> None:
    async with running(tmp_path, patience=IMPATIENT) as (_host, coordinator):
        coordinator.start("closes")
        pid = (await coordinator.next("attached")).pid
        await coordinator.next("lost")  # how it ended is not known where that took longer than the host's patience
        await _no_group(pid)


RECORD = {"t": "rec", "no": 1, "e": {"lane": "m", "ord": 1, "kind": 4, "enc": 1}}
ATTACHED = {"t": "attached"}
DONE = {"t": "done", "no": 1, "state": "stopped"}
BAD_FRAMES = {
    "record before attached": [[RECORD, "1"]],
    "hello twice": [[{"t": "hello", "v": 1, "pid": 1}, ""]],
    "wrong number": [[ATTACHED, ""], [RECORD | {"no": 2}, "1"]],
    "number is no integer": [[ATTACHED, ""], [RECORD | {"no": "1"}, "1"]],
    "unknown type": [[{"t": "surprise"}, ""]],
    "type is a list": [[{"t": ["hello"]}, ""]],
    "no type": [[{}, ""]],
    "markers before attached": [[{"t": "marks", "no": 1, "n": 1, "e": [{"lane": "m"}]}, ""]],
    "no markers": [[ATTACHED, ""], [{"t": "marks", "no": 1, "n": 0, "e": []}, ""]],
    "cut markers": [[ATTACHED, ""], [{"t": "marks", "no": 1, "n": 9, "e": [{"lane": "m"}]}, "1"]],
    "wrong field": [[ATTACHED, ""], [RECORD | {"e": RECORD["e"] | {"ord": -1}}, "1"]],
    "resolved by the runner": [[ATTACHED, ""], [RECORD | {"e": {"lane": "m", "ord": 1, "kind": 6, "how": 1}}, ""]],
    "done twice": [[DONE, ""], [DONE | {"no": 2}, ""]],
    "record after done": [[ATTACHED, ""], [DONE, ""], [RECORD | {"no": 2}, "1"]],
    "waits twice for one thing": [[ATTACHED, ""], [{"t": "wait", "waits": [["m", 1], ["m", 1]]}, ""]],
    "suspended unasked": [[ATTACHED, ""], [{"t": "suspended"}, ""]],
    "unknown end": [[{"t": "done", "no": 1, "state": "fine"}, ""]],
}


@pytest.mark.parametrize("frames", BAD_FRAMES.values(), ids=BAD_FRAMES)
async def test_a_runner_that_breaks_the_rules_is_killed(tmp_path: Path, frames: list[object]) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start(f"raw:{json.dumps(frames)}")
        lost = (await coordinator.until(lambda message: message.HasField("lost"))).lost
        assert (lost.code, lost.fatal, lost.exit_code) == ("P0701", True, -signal.SIGKILL)


@pytest.mark.parametrize("data", ["ffffffff00000000", "0000000800000004" + "7b7b7b7b", "00000006000000025b5d"])
async def test_a_runner_that_sends_no_frames_is_killed(tmp_path: Path, data: str) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start(f"garbage:{data}")
        lost = await coordinator.next("lost")
        assert (lost.code, lost.fatal) == ("P0701", True)


async def test_dropped_lines_leave_no_gap_in_the_numbers(tmp_path: Path) -> None:
    limits = HostLimits(log_bytes_per_s=1, log_burst_bytes=10 * 164)
    async with running(tmp_path, limits=limits) as (_host, coordinator):
        coordinator.start("lines:50,100")
        done = await coordinator.next("done")
        records = coordinator.records()
        assert [record.no for record in records] == list(range(1, 13))
        assert [record.log.text for record in records[:10]] == ["x" * 100] * 10
        assert "40 lines dropped" in records[10].log.text
        assert records[10].log.index == 49
        assert records[11].entry.ordinal == 1
        assert done.no == 13
        assert done.result.data == b"51"  # acknowledged under the runner's own number


async def test_a_runner_with_much_uncommitted_is_not_read(tmp_path: Path) -> None:
    limits = HostLimits(unacked_bytes=100_000)
    async with running(tmp_path, FakeCoordinator(commits=False), limits=limits) as (_host, coordinator):
        coordinator.start("burst:400,10000")
        seen = 0
        while len(coordinator.records()) < 400:
            await coordinator.next("records")
            outstanding = len(coordinator.records()) - seen
            assert outstanding <= 10 + 2 * (1 << 18) // 10_000
            seen = len(coordinator.records())
            coordinator.commit("s", 1, seen)
        assert (await coordinator.next("done")).no == 401


async def test_secrets_are_masked_in_frames_and_in_last_words(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        secret = {"vars": {"A": "something"}, "secrets": ["A"]}
        coordinator.start("crash:3", **secret)
        lost = await coordinator.next("lost")
        assert "*** at C level" in lost.reason
        assert "something" not in lost.reason
        coordinator.start("raw:" + json.dumps([[{"t": "something"}, ""]]), session_id="r", **secret)
        lost = (await coordinator.until(lambda message: message.lost.session_id == "r")).lost
        assert (lost.code, "something" in lost.reason) == ("P0701", False)


async def test_no_end_of_a_secret_is_told_where_output_was_cut(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start(
            "blurts:correct horse battery staple,8180", vars={"A": "correct horse battery staple"}, secrets=["A"]
        )
        lost = await coordinator.next("lost")
        assert lost.reason.endswith("." * 8180)
        assert "staple" not in lost.reason


async def test_markers_of_one_frame_are_records_like_others(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start('markers:[1.5, "something"]', vars={"A": "something"}, secrets=["A"])
        assert (await coordinator.next("done")).no == 3
        number, text = (record.entry for record in coordinator.records())
        assert (number.lane, number.ordinal, number.kind, number.site.file) == ("main", 1, 4, "a.py")
        assert (number.outcome.data, number.outcome.preview, number.outcome.size) == (b"1.5", "1.5", 3)
        assert (text.ordinal, text.outcome.data, text.outcome.preview) == (2, b'"something"', "'***'")


async def test_what_was_sent_before_a_crash_is_not_lost(tmp_path: Path) -> None:
    """The runner is long gone when its last records are read; writing to it fails meanwhile."""
    async with running(tmp_path, limits=HostLimits(unacked_bytes=1000)) as (_host, coordinator):
        coordinator.start("burst:100,1000")
        assert (await coordinator.next("done")).no == 101
        assert len(coordinator.records()) == 100


async def test_a_newer_start_takes_the_place_of_the_old_runner(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start("stubborn", epoch=1)
        pid = (await coordinator.next("attached")).pid
        coordinator.start("echo:1", epoch=2)
        done = await coordinator.next("done")
        assert done.epoch == 2
        assert not any(message.HasField("lost") for message in coordinator.heard)
    await _no_group(pid)


async def test_messages_of_another_epoch_or_session_are_ignored(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("wait", epoch=5)
        await coordinator.next("waiting")
        coordinator.start("echo:1", epoch=4)
        coordinator.stop(runner.STOP_KIND_KILL, epoch=4)
        coordinator.stop(runner.STOP_KIND_KILL, session_id="other", epoch=5)
        assert host.sessions["s"].start.epoch == 5
        coordinator.stop(runner.STOP_KIND_SUSPEND, epoch=5)
        assert (await coordinator.next("suspended")).epoch == 5


async def test_a_full_host_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, capacity=1) as (_host, coordinator):
        coordinator.start("wait", session_id="a")
        await coordinator.next("waiting")
        coordinator.start("echo:1", session_id="b")
        lost = await coordinator.next("lost")
        assert (lost.session_id, lost.reason, lost.fatal, lost.refused) == ("b", "the host is full", False, True)


async def test_who_dies_with_the_link_takes_no_place_on_the_next_one(tmp_path: Path) -> None:
    async with running(tmp_path, capacity=1) as (host, coordinator):
        coordinator.start("wait", session_id="a")
        await coordinator.next("waiting")
        host.closed("gone")
        coordinator.start("echo:1", session_id="b")  # the first one's process is not dead yet
        assert (await coordinator.next("done")).session_id == "b"


async def test_many_sessions_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, capacity=40) as (host, coordinator):
        for number in range(40):
            coordinator.start("echo:20", session_id=str(number))
        for _ in range(40):
            await coordinator.next("done")
        for number in range(40):
            assert [record.no for record in coordinator.records(str(number))] == list(range(1, 21))
        assert len(list(host._backend.zygotes)) == 1


@pytest.mark.parametrize("minor", [12, 13])
async def test_another_interpreter(tmp_path: Path, minor: int) -> None:
    async with running(tmp_path) as (host, coordinator):
        if f"3.{minor}" not in host._backend.pythons.versions() or sys.version_info[1] == minor:
            pytest.skip(f"no other Python 3.{minor} here")
        coordinator.start("report", python=f"3.{minor}")
        seen = json.loads((await coordinator.next("done")).result.data)
        assert seen["version"] == [3, minor]
        assert seen["start"]["cache"].endswith(f"cpython-3{minor}")


async def test_heartbeats_begin_with_the_welcome(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        hello = coordinator.heard[0].hello
        assert (hello.protocol_version, hello.host_id, hello.capacity) == (1, "test", 64)
        assert list(hello.capabilities) == ["process"]
        assert len(coordinator.heard) == 1
        host.receive(runner.ToHost(welcome=runner.Welcome(protocol_version=1, heartbeat_ms=5)))
        beats = [(await coordinator.next("heartbeat")).at_us for _ in range(3)]
        assert beats == sorted(set(beats))


async def test_a_lost_link_kills_everything_silently(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("stubborn")
        pid = (await coordinator.next("attached")).pid
        heard = len(coordinator.heard)
        host.closed("gone")
        async with asyncio.timeout(60):
            await host._empty.wait()
        await _no_group(pid)
        assert len(coordinator.heard) == heard


async def test_a_leaving_host_kills_its_runners_and_tells(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("stubborn")
        pids = [(await coordinator.next("attached")).pid, *(zygote.pid for zygote in host._backend.zygotes)]
        await host.stop()
        lost = await coordinator.next("lost")
        assert lost.reason == "the host is leaving"
        assert all(_gone(pid) for pid in pids)


@given(st.sampled_from(list(State)), st.lists(st.sampled_from(sorted({kind for _, kind in FRAMES}))))
def test_done_is_final_in_the_table(state: State, kinds: list[str]) -> None:
    for kind in kinds:
        following = FRAMES.get((state, kind))
        if state is State.DONE:
            assert following is None
        state = following or state


def test_every_state_can_be_reached_and_every_frame_has_a_handler() -> None:
    from perdure_runner.host.session import Session

    assert {*FRAMES.values(), *COMMANDS.values(), State.STARTING} == set(State)
    assert {kind for _, kind in FRAMES} == set(Session._HANDLERS)
