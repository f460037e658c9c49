"""What clients ask beyond running: following, forking, replaying, deploying, listing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from coordinator_support import FakeHost, Step, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator.builds import Builds
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.core.ids import make_id
from perdure_server.manifest.build import digest, pack
from perdure_server.store import Build, Deployment, Mutation, Transaction

PROGRAM: list[Step] = [("activity", "a"), ("log", "one"), ("activity", "b"), ("log", "two")]


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, PROGRAM, Settings(host_timeout_s=1e9, watch_updates=50, isolate_scan=False))
    await world.begin()
    yield world
    await world.coordinator.close()
    world.store.close()


async def test_a_watcher_sees_states_entries_and_output_in_order(world: World) -> None:
    await world.start("s")
    seen: list[str] = []
    updates = world.control.watch_session(cpb.WatchSessionRequest(session_id="s", until_done=True))
    async for update in updates:
        if not seen:
            FakeHost(world)
        match update.WhichOneof("update"):
            case "session":
                seen.append(update.session.state)
            case "entry":
                seen.append(f"{update.entry.seq}")
            case "log":
                seen.append(update.log.text)
    assert seen[:3] == ["created", "starting", "running"]
    assert sorted(seen[3:-1]) == ["1", "2", "3", "4", "one", "two"]
    assert [s for s in seen if s.isdigit()] == ["1", "2", "3", "4"]
    assert seen[-1] == "completed"


@pytest.mark.parametrize(("without", "kinds"), [("entries", {"session", "log"}), ("logs", {"session", "entry"})])
async def test_a_watcher_is_spared_what_it_does_not_want(world: World, without: str, kinds: set[str]) -> None:
    await world.start("s")
    request = cpb.WatchSessionRequest(session_id="s", until_done=True, **{f"without_{without}": True})
    seen: set[str | None] = set()
    async for update in world.control.watch_session(request):
        if not seen:
            FakeHost(world)
        seen.add(update.WhichOneof("update"))
    assert seen == kinds


async def test_following_the_output_begins_with_what_is_stored_and_ends_with_the_session(world: World) -> None:
    host = FakeHost(world)
    await world.start("s", [("log", "one"), ("activity", "a"), ("hang",)])
    await world.until(lambda: world.kinds("s") == "SA")
    world.programs["s"] = [("log", "one"), ("activity", "a"), ("log", "two"), ("log", "three")]
    texts: list[str] = []
    async for line in world.control.get_logs(cpb.GetLogsRequest(session_id="s", follow=True)):
        if not texts:
            host.runner("s").die()
        texts.append(line.text)
    assert texts == ["one", "two", "three"]
    assert [line.text async for line in world.control.get_logs(cpb.GetLogsRequest(session_id="s", limit=2))] == texts[
        :2
    ]


async def test_a_watcher_that_does_not_read_is_cut_and_holds_nobody_up(world: World) -> None:
    host = FakeHost(world)
    await world.start("s", [("hang",)])
    await world.until(lambda: world.state("s") == "running")
    updates = world.control.watch_session(cpb.WatchSessionRequest(session_id="s"))
    await anext(updates)
    runner = host.runner("s")
    runner.no = 1
    for _ in range(49):
        runner.record(jpb.ENTRY_KIND_MARKER, sync=True)
    for text in "ab":
        line = jpb.LogLine(ordinal=1, index=ord(text), text=text)
        runner.send_record(rpb.Record(no=runner.no, log=line), sync=True)
    await world.until(lambda: runner.acknowledged == 51)
    with refused("P0602"):
        await anext(updates)


async def test_watching_what_has_ended_says_so_and_ends(world: World) -> None:
    FakeHost(world)
    await world.start("s")
    await world.completed("s")
    updates = [u async for u in world.control.watch_session(cpb.WatchSessionRequest(session_id="s"))]
    assert [u.session.state for u in updates] == ["completed"]


async def test_a_fork_shares_history_up_to_the_end_of_a_call(world: World) -> None:
    FakeHost(world)
    await world.start("s")
    await world.completed("s")
    world.program = [("activity", "a"), ("activity", "z")]
    fork = await world.control.fork_session(cpb.ForkSessionRequest(session_id="s", from_seq=2))
    session = await world.completed(fork.session_id)
    assert (session.state, session.forked_from) == ("completed", "s")
    assert [entry.function for entry in world.journal(fork.session_id)] == ["a", "a", "z", "z"]
    assert world.effects == {"a": 1, "b": 1, "z": 1}
    record = world.store.load_session(fork.session_id)
    assert record is not None
    assert (record.origin_id, record.hash_seed) == ("s", world.coordinator.hash_seed)
    again = await world.control.fork_session(cpb.ForkSessionRequest(session_id=fork.session_id, from_seq=0))
    assert (await world.completed(again.session_id)).state == "completed"


async def test_which_project_is_meant_is_asked_only_where_there_are_several(world: World) -> None:
    request = cpb.StartSessionRequest(entry_point="main.py:main")
    with pytest.raises(PerdureError, match="no project is deployed yet"):
        await world.control.start_session(request)
    names = [f"p{n:02}" for n in range(12)]

    def write(transaction: Transaction) -> None:
        for name in names:
            transaction.put_project(name, 1)

    await world.store.commit(Mutation(write))
    with pytest.raises(PerdureError, match=r"there are several projects: p00, .*p09, \.\.\.$") as caught:
        await world.control.start_session(request)
    assert (caught.value.code, caught.value.help) == ("P0206", "name one: --project NAME")


@pytest.mark.parametrize(("seq", "near"), [(1, "0 or 2"), (3, "2 or 4"), (99, "from 4;")])
async def test_a_fork_in_the_middle_of_a_call_names_the_nearest_ends(world: World, seq: int, near: str) -> None:
    FakeHost(world)
    await world.start("s")
    await world.completed("s")
    with pytest.raises(PerdureError, match="is not the end of a call") as caught:
        await world.control.fork_session(cpb.ForkSessionRequest(session_id="s", from_seq=seq))
    assert caught.value.code == "P0214"
    assert near in (caught.value.help or "")


async def test_a_replay_reads_the_history_and_touches_nothing(world: World) -> None:
    host = FakeHost(world)
    await world.start("s")
    await world.completed("s")
    other = Build("c" * 64, 1, 1, [], {})
    await world.store.commit(Mutation(lambda transaction: transaction.put_build(other)))
    answer = await world.control.replay_session(cpb.ReplaySessionRequest(session_id="s", build_id="c" * 64))
    assert (answer.done.state, answer.entries) == (rpb.DONE_STATE_COMPLETED, 4)
    runner = host.runner("s~0")
    assert (runner.start.replay_only, runner.start.build) == (True, "c" * 64)
    assert (await world.session("s")).epoch == 1
    assert not host.connection.sessions


async def test_a_running_session_is_replayed_beside_itself(world: World) -> None:
    host = FakeHost(world)
    await world.start("s", [("activity", "a"), ("hang",)])
    await world.until(lambda: world.kinds("s") == "SA")
    request = cpb.ReplaySessionRequest(session_id="s")
    world.programs["s"] = [("activity", "a")]
    assert (await world.control.replay_session(request)).entries == 2
    assert set(host.runners) == {"s", "s~0"}
    assert world.state("s") == "running"


async def deploy(world: World, folder: Path, project: str = "", build_only: bool = False) -> cpb.DeployResponse:
    async def parts() -> AsyncIterator[cpb.DeployRequest]:
        yield cpb.DeployRequest(header=cpb.DeployHeader(project=project, build_only=build_only))
        data = pack(folder)
        yield cpb.DeployRequest(chunk=data[:100])
        yield cpb.DeployRequest(chunk=data[100:])

    return await world.control.deploy(parts())


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "main.py").write_text("def run(event):\n    return 1\n")
    (folder / "perdure.yaml").write_text(
        "name: shop\nvars: {GREETING: hello}\nactivities:\n  'requests.*': {retry: {attempts: 5}, timeout: 30s}\n"
    )
    return folder


async def test_a_deployment_is_checked_stored_and_live_and_the_older_one_drains(world: World, folder: Path) -> None:
    host = FakeHost(world)
    first = await deploy(world, folder)
    assert (first.project, first.build_id) == ("shop", digest(pack(folder)))
    assert [(e.file, e.line, e.name, list(e.args)) for e in first.exports] == [("main.py", 1, "run", ["event"])]
    world.program = [("hang",)]
    started = await world.control.start_session(cpb.StartSessionRequest(entry_point="main.py:run"))
    await world.until(lambda: world.state(started.session_id) == "running")
    start = host.runner(started.session_id).start
    assert (start.build, dict(start.vars), start.project) == (first.build_id, {"GREETING": "hello"}, "shop")
    assert start.activities[0].pattern == "requests.*"
    assert (start.activities[0].retry.max_attempts, start.activities[0].timeout_s) == (5, 30.0)
    assert start.limits.log_bytes > 0
    (folder / "main.py").write_text("def run(event):\n    return 2\n")
    second = await deploy(world, folder)
    states = lambda: {d.deployment_id: d.state for d in world.store.deployments("shop")}  # noqa: E731
    assert states() == {first.deployment_id: "draining", second.deployment_id: "active"}
    await world.control.stop_session(cpb.StopSessionRequest(session_id=started.session_id, force=True))
    await world.until(lambda: states()[first.deployment_id] == "inactive")


async def test_a_build_alone_is_not_live_but_its_sessions_have_its_variables(world: World, folder: Path) -> None:
    host = FakeHost(world)
    built = await deploy(world, folder, build_only=True)
    assert not built.deployment_id
    with refused("P0206"):
        await world.control.start_session(cpb.StartSessionRequest(project="shop", entry_point="main.py:run"))
    request = cpb.StartSessionRequest(project="shop", build_id=built.build_id, entry_point="main.py:run")
    started = await world.control.start_session(request)
    await world.completed(started.session_id)
    assert dict(host.runner(started.session_id).start.vars) == {"GREETING": "hello"}
    chunks = [c.data async for c in world.control.fetch_build(rpb.FetchBlobRequest(digest=built.build_id))]
    assert b"".join(chunks) == pack(folder)


async def test_bad_deployments(world: World, folder: Path) -> None:
    (folder / "perdure.yaml").write_text("nonsense: 1\n")
    with refused("P0102"):
        await deploy(world, folder)

    async def garbage() -> AsyncIterator[cpb.DeployRequest]:
        yield cpb.DeployRequest(header=cpb.DeployHeader(project="p"))
        yield cpb.DeployRequest(chunk=b"no tarball at all")

    with refused("P0120"):
        await world.control.deploy(garbage())


async def test_lists_show_what_is_in_memory(world: World) -> None:
    FakeHost(world)
    await world.start("s", [("hang",)])
    await world.start("t")
    await world.completed("t")
    await world.until(lambda: world.state("s") == "running")
    everything = await world.control.list_sessions(cpb.ListSessionsRequest())
    assert {s.session_id: s.state for s in everything.sessions} == {"s": "running", "t": "completed"}
    running = await world.control.list_sessions(cpb.ListSessionsRequest(states=["running"]))
    assert [(s.session_id, s.runner_pid, s.host_id) for s in running.sessions] == [("s", 4711, "h1")]
    with refused("P0103"):
        await world.control.list_sessions(cpb.ListSessionsRequest(states=["sleeping"]))
    hosts = (await world.control.list_hosts(cpb.ListHostsRequest())).hosts
    assert [(h.host_id, h.sessions, h.capacity) for h in hosts] == [("h1", 1, 100)]


async def test_versions_that_do_not_agree_are_refused(world: World) -> None:
    with refused("P0208"):
        await world.control.get_version(cpb.GetVersionRequest(protocol_version=99))
    with refused("P0208"):
        hello = rpb.HostHello(protocol_version=99, host_id="h", capacity=1)
        world.coordinator.connect(FakeHost(world, join=False)).receive(rpb.FromHost(hello=hello))
    with refused("P0702"):
        world.coordinator.connect(FakeHost(world, join=False)).receive(rpb.FromHost(heartbeat=rpb.Heartbeat()))


def test_ids_sort_by_time() -> None:
    ids = [make_id("ses", us, bytes([255 - n] * 8)) for n, us in enumerate((0, 999, 1_000, 10**15, 2**58))]
    assert ids[2:] == sorted(ids[2:])
    assert {len(i) for i in ids} == {27}
    assert ids[0] == "ses_0000000000fzzzzzzzzzzzz"


async def test_a_deployment_that_is_made_while_the_one_before_is_read_stays_active(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = Builds(world.store)
    older, newer = (Deployment(f"dep_{name}", "shop", name * 64, 1, {}, {}) for name in "ab")

    def read_slowly(_project: str) -> Deployment:
        builds.deployed(newer)
        return older

    monkeypatch.setattr(world.store, "active_deployment", read_slowly)
    assert await builds.active("shop") is newer
    assert await builds.active("shop") is newer
