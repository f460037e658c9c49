"""Projects, deployments and builds: rolling back, ending, deleting; and what is collected when."""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from coordinator_support import BUILD, SECOND_US, FakeHost, World, refused
from hypothesis import given
from hypothesis import strategies as st
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1.runner_pb2 import EVENT_FORM_UNSPECIFIED
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.build import pack
from perdure_server.store import (
    Append,
    BlobStore,
    Build,
    Deployment,
    Done,
    Mutation,
    SessionRecord,
    SessionUpdate,
    Store,
    StoredRow,
    Transaction,
)
from triggering_support import HANG, PROJECT, Triggered, hook

DAY_S = 86_400


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[Triggered]:
    world = Triggered(tmp_path, HANG)
    await world.begin()
    yield world
    await world.coordinator.close()


async def deploy(
    world: World, tmp_path: Path, code: str, manifest: str = "name: shop\n", *, build_only: bool = False
) -> cpb.DeployResponse:
    folder = tmp_path / "code"
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(code)
    (folder / "perdure.yaml").write_text(manifest)
    world.clock.advance(1)

    async def parts() -> AsyncIterator[cpb.DeployRequest]:
        yield cpb.DeployRequest(header=cpb.DeployHeader(build_only=build_only))
        yield cpb.DeployRequest(chunk=pack(folder))

    return await world.control.deploy(parts())


async def states(world: World) -> dict[str, str]:
    found = await world.control.list_deployments(cpb.ListDeploymentsRequest(project=PROJECT))
    return {each.deployment_id: each.state for each in found.deployments}


async def start(world: World, **fields: str) -> str:
    request = cpb.StartSessionRequest(project=PROJECT, entry_point="main.py:run", **fields)
    return (await world.control.start_session(request)).session_id


async def collected(world: World, **fields: float) -> cpb.CollectGarbageResponse:
    return await world.control.collect_garbage(cpb.CollectGarbageRequest(**fields))


def age(world: World, *, by_s: float) -> None:
    """All blobs are as old as the turned clock thinks, and then so much older."""
    at = world.clock.now_us() / 1e6 - by_s
    for path in world.blobs.root.glob("*/*"):
        os.utime(path, (at, at))


# Deployments.


async def test_rolling_back_makes_a_new_deployment_of_the_older_ones_build_and_variables(
    world: Triggered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = "name: shop\nvars:\n  PLAIN: {value: one}\n  HIDDEN: {env: HIDDEN_VALUE, secret: true}\n"
    monkeypatch.setenv("HIDDEN_VALUE", "s3cret")
    first = await deploy(world, tmp_path, "def run(event): return 1\n", manifest)
    second = await deploy(world, tmp_path, "def run(event): return 2\n", manifest.replace("one", "two"))
    back = await world.control.roll_back(cpb.RollBackRequest(project=PROJECT))
    assert back.build_id == first.build_id != second.build_id
    assert [export.name for export in back.exports] == ["run"]
    assert await states(world) == {
        first.deployment_id: "inactive",
        second.deployment_id: "inactive",
        back.deployment_id: "active",
    }
    session_id = await start(world)
    await world.running(1)
    given = world.host.runner(session_id).start
    assert (given.build, given.vars["PLAIN"], given.vars["HIDDEN"]) == (first.build_id, "one", "s3cret")
    assert list(given.secrets) == ["HIDDEN"]
    row = world.store.deployment(back.deployment_id)
    assert row is not None
    assert "s3cret" not in str(row)


async def test_a_rollback_keeps_addresses_and_takes_the_older_triggers(world: Triggered) -> None:
    await world.deploy(hook("old"))
    before = (await world.control.list_triggers(cpb.ListTriggersRequest(project=PROJECT))).triggers[0].url
    world.clock.advance(1)
    await world.deploy(hook("new"))
    world.blobs.put(b"")  # the folder is there
    build = world.blobs.root / BUILD[:2] / BUILD
    build.parent.mkdir(exist_ok=True)
    build.write_bytes(b"a build")
    back = await world.control.roll_back(cpb.RollBackRequest(project=PROJECT, deployment_id="dep1"))
    assert {trigger.name: trigger.url for trigger in back.triggers} == {"old": before}
    with refused("P0223"):
        await world.send("new")


async def test_what_cannot_be_rolled_back_to(world: Triggered, tmp_path: Path) -> None:
    with refused("P0228"):
        await world.control.roll_back(cpb.RollBackRequest(project=PROJECT))
    first = await deploy(world, tmp_path, "def run(event): return 1\n")
    for named in ("", "dep_unknown"):
        with refused("P0228"):
            await world.control.roll_back(cpb.RollBackRequest(project=PROJECT, deployment_id=named))
    await deploy(world, tmp_path, "def run(event): return 2\n")
    world.blobs.discard(first.build_id, 1 << 60)
    with refused("P0212"):
        await world.control.roll_back(cpb.RollBackRequest(project=PROJECT))


async def test_a_deactivated_project_starts_nothing_and_its_sessions_go_on(world: Triggered) -> None:
    await world.deploy(hook())
    await world.send()
    (session_id,) = await world.running(1)
    ended = await world.control.deactivate(cpb.DeactivateRequest(project=PROJECT))
    assert (ended.deployment_id, ended.state, ended.sessions) == ("dep1", "draining", 1)
    with refused("P0206"):
        await world.send()
    with refused("P0206"):
        await start(world)
    with refused("P0206"):
        await world.control.deactivate(cpb.DeactivateRequest(project=PROJECT))
    world.end(session_id)
    await world.until(lambda: world.store.deployments(PROJECT)[0].state == "inactive")


@given(st.lists(st.sampled_from(["deploy", "deactivate", "start", "end"]), max_size=25))
def test_at_most_one_deployment_is_active_and_only_those_with_sessions_drain(steps: list[str]) -> None:
    store = Store.memory()
    alive: list[tuple[str, str]] = []
    active, made = "", []

    def write(number: int, step: str) -> None:
        nonlocal active

        def change(tx: Transaction) -> None:
            nonlocal active
            match step:
                case "deploy":
                    active = f"dep{number}"
                    made.append(active)
                    tx.activate(Deployment(active, PROJECT, BUILD, number, {}, {}))
                case "deactivate":
                    assert tx.deactivate(PROJECT) == active
                    active = ""
                case "start" if active:
                    alive.append((f"s{number}", active))
                    tx.insert_session(SessionRecord(f"s{number}", PROJECT, BUILD, active, "m.py:f", b"", 1, 0))
                case "end" if alive:
                    tx.update_session(alive.pop(0)[0], SessionUpdate(state="completed", ended_us=number))
                    tx.retire_deployments()

        store.apply(Mutation(change))

    def begin(tx: Transaction) -> None:
        tx.put_project(PROJECT, 1)
        tx.put_build(Build(BUILD, 1, 1, [], {}))

    store.apply(Mutation(begin))
    for number, step in enumerate(steps, 1):
        write(number, step)
        busy = {deployment for _, deployment in alive}
        expected = {each: "active" if each == active else "draining" if each in busy else "inactive" for each in made}
        assert {row.deployment_id: row.state for row in store.deployments(PROJECT)} == expected
    store.close()


# Projects.


async def test_nothing_is_stored_for_a_project_that_there_is_not(world: Triggered, tmp_path: Path) -> None:
    def asked(project: str) -> cpb.SetValueRequest:
        return cpb.SetValueRequest(project=project, key="k", value=b"1")

    with refused("P0206"):
        await world.control.set_value(asked("shop"))
    await deploy(world, tmp_path, "def run(event): ...\n")
    assert (await world.control.set_value(asked("shop"))).version == 1
    with pytest.raises(PerdureError) as caught:
        await world.control.set_value(asked("shpo"))
    assert (caught.value.code, caught.value.help) == ("P0206", "did you mean 'shop'?")
    assert not (await world.control.list_values(cpb.ListValuesRequest(project="shpo"))).values


async def test_sessions_of_a_build_alone_have_a_store_that_can_be_filled(world: Triggered, tmp_path: Path) -> None:
    await deploy(world, tmp_path, "def run(event): ...\n", build_only=True)
    value = cpb.SetValueRequest(project="shop", key="k", value=b"1")
    assert (await world.control.set_value(value)).version == 1


async def test_a_project_with_living_sessions_is_deleted_only_by_force(world: Triggered) -> None:
    await world.deploy(hook())
    event = await world.send()
    await world.running(1)
    await world.control.set_var(cpb.SetVarRequest(project=PROJECT, var=cpb.Var(name="A", value=b"1")))
    await world.control.set_value(cpb.SetValueRequest(project=PROJECT, key="k", value=b"1"))
    await world.control.put_connection(cpb.PutConnectionRequest(project=PROJECT, name="c", integration="http"))
    made = cpb.CreateTokenRequest(name="t", scope="read", project=PROJECT)
    other = cpb.CreateTokenRequest(name="other", scope="read")
    await world.control.create_token(made)
    await world.control.create_token(other)
    (project,) = (await world.control.list_projects(cpb.ListProjectsRequest())).projects
    assert (project.name, project.active.deployment_id, project.sessions, project.triggers) == (PROJECT, "dep1", 1, 1)

    with refused("P0233"):
        await world.control.delete_project(cpb.DeleteProjectRequest(name=PROJECT))
    assert (await states(world))["dep1"] == "active"
    deleted = await world.control.delete_project(cpb.DeleteProjectRequest(name=PROJECT, force=True))

    assert deleted.sessions == 1
    assert not (await world.control.list_projects(cpb.ListProjectsRequest())).projects
    store = world.store
    assert not store.list_sessions(PROJECT)
    assert store.event(event.event_id) is None
    assert not store.dispatches(event.seq)
    assert not store.deployments(PROJECT)
    assert not store.triggers(PROJECT)
    assert not store.vars(PROJECT)
    assert not store.stored_values(PROJECT)
    assert not store.connections(PROJECT)
    assert [token.name for token in store.tokens()] == ["other"]
    with refused("P0206"):
        await world.control.delete_project(cpb.DeleteProjectRequest(name=PROJECT))


async def test_a_project_of_the_same_name_has_other_addresses_and_nothing_of_the_old_one(world: Triggered) -> None:
    await world.deploy(hook())
    await world.control.set_var(cpb.SetVarRequest(project=PROJECT, var=cpb.Var(name="A", value=b"1")))
    before = await world.coordinator.dispatcher.urls.of(PROJECT, "dep1")
    await world.control.delete_project(cpb.DeleteProjectRequest(name=PROJECT))
    deployment = await world.deploy(hook())
    after = await world.coordinator.dispatcher.urls.of(PROJECT, deployment.deployment_id)
    assert before.keys() == after.keys()
    assert before != after
    assert not (await world.control.list_vars(cpb.ListVarsRequest(project=PROJECT))).vars


# What is collected.


async def test_sessions_and_events_go_by_age_with_everything_of_them(world: Triggered) -> None:
    await world.deploy(hook())
    event = await world.send()
    (session_id,) = await world.running(1)
    await world.store.commit(Mutation(lambda tx: tx.add_signal(session_id, "s", b"1", 1)))
    await world.store.commit(Mutation(lambda tx: tx.add_outcome(event.event_id, session_id, b"1", 1)))
    world.clock.advance(10 * DAY_S)
    nothing = cpb.CollectGarbageResponse()
    assert await collected(world, sessions_s=1, events_s=1) == nothing  # it lives
    world.end(session_id)
    await world.in_state(event, "completed")
    world.clock.advance(DAY_S)
    assert await collected(world, sessions_s=2 * DAY_S, events_s=20 * DAY_S) == nothing  # young
    assert await collected(world) == nothing  # kept for ever
    for never in (1e28, math.inf):
        assert await collected(world, sessions_s=never, events_s=never) == nothing
    found = cpb.CollectGarbageResponse(sessions=1, events=1)
    request = cpb.CollectGarbageRequest(sessions_s=100, events_s=100, dry_run=True)
    assert await world.control.collect_garbage(request) == found
    assert world.store.load_session(session_id) is not None
    assert await collected(world, sessions_s=100, events_s=100) == found
    assert world.store.load_session(session_id) is None
    assert world.store.event(event.event_id) is None
    assert not world.store.outcomes(event.event_id)
    assert not world.store.entries(session_id)
    assert not world.store.signals(session_id)


async def test_a_parent_stays_while_a_child_lives(world: Triggered) -> None:
    ended = SessionRecord("p", PROJECT, BUILD, "", "m.py:f", b"", 1, 0, state="completed", ended_us=2)
    child = replace(ended, session_id="c", state="waiting", ended_us=None, parent_id="p")

    def write(tx: Transaction) -> None:
        tx.insert_session(ended)
        tx.insert_session(child)

    await world.store.commit(Mutation(write))
    assert (await collected(world, sessions_s=1)).sessions == 0
    await world.store.commit(Mutation(lambda tx: tx.update_session("c", SessionUpdate(state="failed", ended_us=3))))
    assert (await collected(world, sessions_s=1)).sessions == 2


async def test_a_long_journal_goes_from_its_end_a_few_rows_at_a_time() -> None:
    store = Store.memory()
    record = SessionRecord("s", PROJECT, BUILD, "", "m.py:f", b"", 1, 0, state="completed", ended_us=2)

    def write(tx: Transaction) -> None:
        tx.insert_session(record)

    store.apply(Mutation(write))
    store.apply(Append("s", epoch=0, first_seq=1, entries=[b"%d" % n for n in range(450)]))
    sizes = []
    while (done := store.apply(Mutation(lambda tx: tx.remove_session("s", 200)))).value < 0:  # type: ignore[union-attr]
        assert isinstance(done, Done)
        found = store.load_session("s")
        assert found is not None
        assert store.entries("s") == [b"%d" % n for n in range(found.entries)]
        sizes.append(found.entries)
    assert sizes == [250, 50]
    assert store.load_session("s") is None
    store.close()


async def test_a_fork_of_what_is_being_deleted_is_refused(world: Triggered) -> None:
    record = SessionRecord("s", PROJECT, BUILD, "", "m.py:f", b"", 1, 0, event_form=EVENT_FORM_UNSPECIFIED)
    with refused("P0204"):
        await world.coordinator.begin(replace(record, session_id="fork"), copy_from=("s", 3))
    assert world.store.load_session("fork") is None


async def test_builds_go_with_their_last_deployment_and_session(world: Triggered, tmp_path: Path) -> None:
    made = [await deploy(world, tmp_path, f"def run(event): return {n}\n") for n in range(13)]
    session_id = await start(world, build_id=made[0].build_id)
    await world.running(1)
    world.end(session_id)
    await world.until(lambda: not world.coordinator.actors)
    world.clock.advance(1800)
    age(world, by_s=0)
    assert (await collected(world)).builds == 1  # that of the test's world; for the others somebody has just asked
    world.clock.advance(2 * 3600)
    age(world, by_s=2 * 3600)
    found = await collected(world)
    assert (found.builds, found.blobs) == (2, 2)  # ten deployments stay, and the build of the session
    left = {row.digest for row in world.store.builds_told()}
    assert left == {made[0].build_id, *(each.build_id for each in made[3:])}
    assert all(world.blobs.exists(digest) for digest in left)
    with refused("P0212"):
        await start(world, build_id=made[1].build_id)


async def test_values_stay_while_a_session_refers_to_them(tmp_path: Path) -> None:
    world = World(tmp_path, [("big", "a")])
    await world.begin()
    FakeHost(world)
    for name in ("s", "twin"):
        await world.start(name)
        await world.completed(name)
    world.blobs.put(b"an orphan")
    age(world, by_s=7200)
    young = world.blobs.put(b"something of a deployment under way")
    now = world.clock.now_us() / 1e6
    os.utime(world.blobs.root / young[:2] / young, (now, now))
    value = world.journal("s")[-1].outcome.blob
    assert value == world.journal("twin")[-1].outcome.blob
    assert await collected(world) == cpb.CollectGarbageResponse(blobs=1, bytes=9)
    await world.store.commit(Mutation(lambda tx: tx.delete_session("s")))
    assert (await collected(world)).blobs == 0
    await world.store.commit(Mutation(lambda tx: tx.delete_session("twin")))
    assert (await collected(world)).bytes >= 100_000
    assert not world.blobs.exists(value)
    assert world.blobs.exists(young)
    await world.coordinator.close()


def test_a_blob_that_is_stored_again_is_young(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    digest = blobs.put(b"value")
    os.utime(tmp_path / digest[:2] / digest, (1, 1))
    assert list(blobs.stored_before(2 * SECOND_US)) == [digest]
    blobs.put(b"value")
    assert blobs.discard(digest, 2 * SECOND_US) == 0
    os.utime(tmp_path / digest[:2] / digest, (1, 1))
    assert blobs.keep(digest)
    assert list(blobs.stored_before(2 * SECOND_US)) == []
    os.utime(tmp_path / digest[:2] / digest, (1, 1))
    assert blobs.discard(digest, 2 * SECOND_US) == 5
    assert not blobs.keep(digest)


def test_what_is_stored_is_there_whoever_collects_at_the_same_time(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    data = b"an old value"
    digest = blobs.put(data)
    path = tmp_path / digest[:2] / digest
    over = threading.Event()

    def collect() -> None:
        while not over.is_set():
            blobs.discard(digest, 2 * SECOND_US)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for _ in range(100):
            with suppress(FileNotFoundError):
                os.utime(path, (1, 1))
            assert blobs.put(data) == digest
            assert blobs.exists(digest)
    finally:
        over.set()
        collector.join()


async def test_it_is_done_from_time_to_time(tmp_path: Path) -> None:
    world = Triggered(tmp_path, HANG, Settings(session_retention_s=DAY_S, event_retention_s=DAY_S))
    await world.begin()
    await world.deploy(hook())
    event = await world.send()
    (session_id,) = await world.running(1)
    world.end(session_id)
    await world.in_state(event, "completed")
    await world.until(lambda: world.store.load_session(session_id) is None, turning=1800)
    await world.until(lambda: world.store.event(event.event_id) is None, turning=1800)
    await world.coordinator.close()


async def test_values_of_the_store_and_what_lives_are_never_collected(world: Triggered) -> None:
    await world.deploy(hook())
    row = StoredRow(PROJECT, "k", 1, published=False, set_us=1, value=b"1")
    await world.store.commit(Mutation(lambda tx: tx.put_value(row)))
    await world.send()
    (session_id,) = await world.running(1)
    world.clock.advance(400 * DAY_S)
    await collected(world, sessions_s=1, events_s=1)
    await asyncio.sleep(0)
    assert world.store.stored_value(PROJECT, "k") == row
    assert world.store.load_session(session_id) is not None
    assert (await states(world))["dep1"] == "active"
