"""Who asks (c01 to c03): tokens made, checked, revoked, and held to their scope and project."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from coordinator_support import BUILD, FakeHost, World, refused
from doors_support import Doors, Stream, bearer, control_of, endpoint, now_us, status
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.rpc.channel import open_channel
from perdure_server.rpc.client import RemoteControl
from perdure_server.rpc.local import home_token, read_endpoint
from perdure_server.security.access import Access
from perdure_server.security.secret import TokenText
from perdure_server.security.tokens import Tokens
from perdure_server.store import Build, Deployment, Mutation, Store, Transaction


async def test_a_session_id_alone_opens_nothing(doors: Doors, world: World) -> None:
    """c01: whoever knows a session's id, and can dial loopback, learns nothing and changes nothing."""
    FakeHost(world)
    await world.start("s")
    await world.completed("s")
    async with open_channel(doors.loopback) as channel:
        stub = control_of(channel)
        for call in (
            stub.GetSession(cpb.GetSessionRequest(session_id="s")),
            stub.GetHistory(cpb.GetHistoryRequest(session_id="s", with_data=True)),
            stub.GetLogs(cpb.GetLogsRequest(session_id="s")),
            stub.SignalSession(cpb.SignalSessionRequest(session_id="s", name="n")),
            stub.StopSession(cpb.StopSessionRequest(session_id="s", force=True)),
            stub.FetchBuild(rpb.FetchBlobRequest(digest=BUILD)),
        ):
            assert await status(call) == (grpc.StatusCode.PERMISSION_DENIED, "P0215")
        async with Stream(channel) as stream:
            assert await stream.ended() == (grpc.StatusCode.PERMISSION_DENIED, "P0215")
    assert [host.host_id for host in world.coordinator.hosts] == ["h1"]


async def test_guessing_gets_nowhere(doors: Doors) -> None:
    """c03: neither an id with another secret, nor one character changed, nor what is no token at all."""
    right = await doors.token("admin")
    said = TokenText.parse(right)
    assert said is not None
    last = "A" if said.secret[-1] != "A" else "E"
    wrong = [
        f"pt.{said.token_id}.{said.secret[:-1]}{last}",
        f"pt.{said.token_id}.{'A' * 43}",
        f"pt.home.{said.secret}",
        f"pt.{said.token_id}.",
        right + "x",
        " " + right,
        "",
        "x" * 5000,
    ]
    async with open_channel(doors.loopback) as channel:
        for token in wrong:
            call = control_of(channel).ListTokens(cpb.ListTokensRequest(), metadata=bearer(token))
            assert await status(call) == (grpc.StatusCode.PERMISSION_DENIED, "P0215")
        call = control_of(channel).ListTokens(cpb.ListTokensRequest(), metadata=bearer(right))
        assert (await status(call))[0] is grpc.StatusCode.OK


async def test_a_revoked_token_and_one_that_is_over_open_nothing(doors: Doors) -> None:
    revoked, over = await doors.token("read"), await doors.token("read", valid_s=0.000001)
    said = TokenText.parse(revoked)
    assert said is not None
    async with doors.client(revoked) as client:
        await client.list_hosts(cpb.ListHostsRequest())
        assert await doors.access.tokens.revoke(said.token_id)
        assert not await doors.access.tokens.revoke(said.token_id)
        with refused("P0215"):
            await client.list_hosts(cpb.ListHostsRequest())
    async with doors.client(over) as client:
        with refused("P0215"):
            await client.list_hosts(cpb.ListHostsRequest())


async def test_a_revoked_token_does_not_go_on_where_it_is(doors: Doors, world: World) -> None:
    token, other = await doors.token("read"), await doors.token("admin")
    said = TokenText.parse(token)
    assert said is not None
    await world.start("s")  # no host takes it up
    async with doors.client(token) as client, doors.client(other) as bystander:
        watch = cpb.WatchSessionRequest(session_id="s")
        updates, others = client.watch_session(watch), bystander.watch_session(watch)
        assert (await anext(updates)).session.state == (await anext(others)).session.state == "created"
        assert (await bystander.revoke_token(cpb.RevokeTokenRequest(token_id=said.token_id))).existed
        with refused("P0215"):
            await anext(updates)
        FakeHost(world)
        assert await anext(others)


async def test_who_revokes_the_token_it_shows_is_answered(doors: Doors) -> None:
    token = await doors.token("admin")
    said = TokenText.parse(token)
    assert said is not None
    async with doors.client(token) as client:
        assert (await client.revoke_token(cpb.RevokeTokenRequest(token_id=said.token_id))).existed
        with refused("P0215"):
            await client.list_hosts(cpb.ListHostsRequest())


async def test_a_call_ends_with_its_token(world: World) -> None:
    tokens = Tokens(world.store, lambda: 1_000_000)
    row, secret = await tokens.create("t", "read", "", 0.001)
    caller = tokens.check(f"pt.{row.token_id}.{secret}")
    assert caller is not None
    with refused("P0215"):
        async with tokens.held(caller):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError, match="its own"):
        async with tokens.held(caller):
            raise TimeoutError("its own")
    assert tokens._calls == {}


async def test_tokens_outlive_the_server_and_their_secrets_are_nowhere(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    access = Access(store, now_us)
    made = await access.create_token(cpb.CreateTokenRequest(name="ci", scope="deploy", project="p"))
    home = access.home_token
    assert access.tokens.check(made.secret) is not None
    store.close()
    store = Store.open(tmp_path)
    access = Access(store, now_us)
    caller = access.tokens.check(made.secret)
    assert caller is not None
    assert (caller.scope.name, caller.project) == ("DEPLOY", "p")
    assert access.tokens.check(home) is None, "the home's own ends with its server"
    assert [t.name for t in access.list_tokens().tokens] == ["ci"]
    assert access.list_tokens().tokens[0].used_us
    store.close()
    said = TokenText.parse(made.secret)
    assert said is not None
    with sqlite3.connect(tmp_path / "perdure.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert said.secret.encode() not in (tmp_path / "perdure.db").read_bytes()


@pytest.mark.parametrize(
    "wrong",
    [{"scope": "root"}, {"name": ""}, {"name": "a\nb"}, {"project": "../x"}, {"valid_s": -1}, {"valid_s": 1e12}],
)
async def test_what_is_no_token_is_not_made(doors: Doors, wrong: dict[str, object]) -> None:
    with refused("P0103"):
        await doors.access.create_token(cpb.CreateTokenRequest(**({"name": "n"} | wrong)))  # type: ignore[arg-type]
    assert not doors.access.tokens.rows()


async def test_a_token_of_one_project_sees_no_other(doors: Doors, world: World) -> None:
    other = "c" * 64

    def write(transaction: Transaction) -> None:
        for project, build in (("p", BUILD), ("q", other)):
            if build != BUILD:
                transaction.put_build(Build(build, 1, 1, [], {}))
            transaction.put_project(project, 1)
            transaction.activate(Deployment(f"d-{project}", project, build, 1, {}, {}))

    await world.store.commit(Mutation(write))
    FakeHost(world)
    for session, project in (("ours", "p"), ("theirs", "q")):
        await world.control.start_session(
            cpb.StartSessionRequest(session_id=session, project=project, entry_point="m.py:f")
        )
        await world.completed(session)
    async with doors.client(await doors.token("deploy", "p")) as client:
        listed = await client.list_sessions(cpb.ListSessionsRequest())
        assert [session.session_id for session in listed.sessions] == ["ours"]
        assert (await client.get_session(cpb.GetSessionRequest(session_id="ours"))).project == "p"
        started = await client.start_session(cpb.StartSessionRequest(entry_point="m.py:f"))
        assert (await world.session(started.session_id)).project == "p"
        with refused("P0204"):
            await client.get_session(cpb.GetSessionRequest(session_id="theirs"))
        with refused("P0204"):
            await client.stop_session(cpb.StopSessionRequest(session_id="theirs"))
        for request in (
            cpb.StartSessionRequest(project="q", entry_point="m.py:f"),
            cpb.StartSessionRequest(build_id=other, entry_point="m.py:f"),
        ):
            with refused("P0215"):
                await client.start_session(request)
        with refused("P0215"):
            await client.fork_session(cpb.ForkSessionRequest(session_id="ours", build_id=other))
        with refused("P0215"):
            await client.list_sessions(cpb.ListSessionsRequest(project="q"))
        with refused("P0215"):
            await anext(client.fetch_build(rpb.FetchBlobRequest(digest=other)))

        async def parts() -> AsyncIterator[cpb.DeployRequest]:
            yield cpb.DeployRequest(header=cpb.DeployHeader(project="q"))

        with refused("P0215"):
            await client.deploy(parts())


async def test_whoever_may_not_deploy_is_told_so_though_still_sending(doors: Doors) -> None:
    async def parts() -> AsyncIterator[cpb.DeployRequest]:
        yield cpb.DeployRequest(header=cpb.DeployHeader(project="p"))
        for _ in range(8):
            yield cpb.DeployRequest(chunk=b"x" * 256 * 1024)

    async with doors.client(await doors.token("read")) as client:
        for _ in range(20):
            with refused("P0215"):
                await client.deploy(parts())


async def test_who_can_read_the_home_needs_no_token(doors: Doors, tmp_path: Path) -> None:
    endpoint(tmp_path, grpc=doors.loopback, token=doors.access.home_token.rpartition(".")[0])
    async with doors.client() as client:
        assert await client.list_tokens(cpb.ListTokensRequest()) == cpb.ListTokensResponse()


async def test_the_homes_token_is_given_to_nobody_else(tmp_path: Path) -> None:
    """A server on another port may claim to serve our home; what it is told is nothing."""
    endpoint(tmp_path, grpc="127.0.0.1:1", token="t")
    assert home_token(str(tmp_path), "127.0.0.1:1") == "t"
    for address in ("127.0.0.1:2", "localhost:1", "[::1]:1", ""):
        assert home_token(str(tmp_path), address) == ""


def test_what_is_no_plain_file_of_ours_is_not_read(tmp_path: Path) -> None:
    place = tmp_path / "endpoint.json"
    for text in ("[]", "{", "[" * 100_000, ""):
        place.write_text(text)
        assert read_endpoint(tmp_path) == {}
    place.unlink()
    os.mkfifo(place)
    assert read_endpoint(tmp_path) == {}
    place.unlink()
    (tmp_path / "elsewhere").write_text(json.dumps({"token": "t"}))
    place.symlink_to(tmp_path / "elsewhere")
    assert read_endpoint(tmp_path) == {}
    assert read_endpoint(Path("\0")) == {}


async def test_the_socket_is_its_owners_only(doors: Doors) -> None:
    path = Path(doors.socket.removeprefix("unix:"))
    assert path.stat().st_mode & 0o777 == 0o600
    async with RemoteControl(doors.socket) as client:
        assert await client.list_tokens(cpb.ListTokensRequest()) == cpb.ListTokensResponse()
