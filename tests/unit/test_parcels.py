"""Sessions as files: what is in them, what comes back, and what is refused."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import FakeHost, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1.runner_pb2 import BlobChunk
from perdure_server.coordinator.lifecycle import parcel
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.build import pack
from perdure_server.store import SessionKeys
from perdure_server.store.home import IMPORTED

PROGRAM: list[Any] = [("activity", "a"), ("log", "a line"), ("big", "b"), ("sleep", 0.5), ("activity", "c")]
Members = dict[str, bytes]


class Home(World):
    """A world with a project whose build is a real one."""

    async def begin(self) -> None:
        await super().begin()
        self.host = FakeHost(self)

    async def deploy(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "main.py").write_text("def run(event): return 1\n")
        (folder / "perdure.yaml").write_text("name: shop\nvars: {TOKEN: hush}\n")

        async def parts() -> AsyncIterator[cpb.DeployRequest]:
            yield cpb.DeployRequest(header=cpb.DeployHeader())
            yield cpb.DeployRequest(chunk=pack(folder))

        await self.control.deploy(parts())

    async def run(self, program: list[Any], session_id: str = "s") -> None:
        self.programs[session_id] = program
        request = cpb.StartSessionRequest(
            project="shop", session_id=session_id, entry_point="main.py:run", event=b'{"n": 1}', memo={"who": "Ada"}
        )
        await self.control.start_session(request)

    async def exported(self, session_id: str = "s") -> bytes:
        request = cpb.GetSessionRequest(session_id=session_id)
        return b"".join([chunk.data async for chunk in self.control.export_session(request)])

    async def imported(self, data: bytes) -> cpb.Session:
        async def chunks() -> AsyncIterator[BlobChunk]:
            for start in range(0, len(data), 1000):
                yield BlobChunk(data=data[start : start + 1000])

        return await self.control.import_session(chunks())


@pytest.fixture(name="home")
async def home_fixture(tmp_path: Path) -> AsyncIterator[Home]:
    home = Home(tmp_path, [])
    await home.begin()
    await home.deploy(tmp_path / "code")
    yield home
    await home.coordinator.close()


@pytest.fixture(name="other")
async def other_fixture(tmp_path: Path) -> AsyncIterator[Home]:
    other = Home(tmp_path / "other", [])
    await other.begin()
    yield other
    await other.coordinator.close()


def members(data: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]  # all are files


def packed(content: Members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


async def test_a_session_comes_back_whole_elsewhere(home: Home, other: Home) -> None:
    await home.run(PROGRAM)
    before = await home.completed("s", turning=0.1)
    after = await other.imported(await home.exported())
    for name in ("session_id", "project", "build_id", "entry_point", "state", "created_at", "entries", "event", "memo"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.result.preview == before.result.preview
    assert other.store.entries("s") == home.store.entries("s")
    assert other.store.logs("s") == home.store.logs("s")
    (large,) = {entry.outcome.blob for entry in other.journal("s")} - {""}
    assert other.blobs.get(large) == home.blobs.get(large)
    assert other.store.build(before.build_id) is not None
    assert other.blobs.get(before.build_id) == home.blobs.get(before.build_id)
    assert after.ended_at
    with refused("P0205"):
        await other.control.stop_session(cpb.StopSessionRequest(session_id="s"))


async def test_no_variable_is_in_the_file_and_none_is_given_to_what_comes_from_one(home: Home, other: Home) -> None:
    await home.run([("activity", "a")])
    await home.completed("s")
    data = await home.exported()
    assert b"hush" not in b"".join(value for name, value in members(data).items() if name != parcel.BUILD)
    await other.control.set_var(cpb.SetVarRequest(project="shop", var=cpb.Var(name="PIN", value=b"1234", secret=True)))
    key = home.keys.session_key("s")
    await other.imported(packed(members(data) | {parcel.KEY: key}))
    other.programs["s"] = [("activity", "a")]
    replay = other.control.replay_session(cpb.ReplaySessionRequest(session_id="s"))
    assert (await replay).entries == 2
    start = other.host.runners["s~0"].start
    assert (dict(start.vars), list(start.secrets), start.key) == ({}, [], key)


async def test_without_its_key_a_session_can_be_read_but_neither_replayed_nor_forked(home: Home, other: Home) -> None:
    await home.run([("activity", "a")])
    await home.completed("s")
    await other.imported(await home.exported())
    history = other.control.get_history(cpb.GetHistoryRequest(session_id="s"))
    assert len([entry async for entry in history]) == 2
    with refused("P0234"):
        await other.control.replay_session(cpb.ReplaySessionRequest(session_id="s"))
    with refused("P0234"):
        await other.control.fork_session(cpb.ForkSessionRequest(session_id="s", from_seq=2))


async def test_its_own_home_needs_no_key_and_gives_a_new_id(home: Home) -> None:
    await home.run([("activity", "a")])
    await home.completed("s")
    again = await home.imported(await home.exported())
    assert again.session_id != "s"
    assert (await home.control.replay_session(cpb.ReplaySessionRequest(session_id=again.session_id))).entries == 2
    fork = await home.control.fork_session(cpb.ForkSessionRequest(session_id=again.session_id, from_seq=2))
    record = home.store.load_session(fork.session_id)
    assert record is not None
    assert record.origin_id.startswith(IMPORTED)
    assert home.keys.session_key(record.origin_id) == home.keys.session_key("s")
    third = await home.imported(await home.exported(again.session_id))
    assert third.session_id not in {"s", again.session_id}


async def test_a_living_session_comes_back_as_one_that_has_ended(home: Home, other: Home) -> None:
    await home.run([("activity", "a"), ("sleep", 10_000)])
    await home.until(lambda: home.kinds("s") == "SAW")
    after = await other.imported(await home.exported())
    assert (after.state, after.entries) == ("stopped", 3)
    assert after.error.type == "Imported"
    other.clock.advance(20_000)
    assert other.state("s") == "stopped"
    assert home.state("s") in {"running", "waiting"}


async def test_the_key_of_a_deleted_import_is_forgotten(tmp_path: Path) -> None:
    keys = SessionKeys(b"k" * 32, tmp_path / "imported")
    kept, dropped = (keys.put_import(letter * 32) for letter in (b"a", b"b"))
    keys.drop_imports({kept}, before_us=0)
    assert keys.session_key(dropped) == b"b" * 32
    keys.drop_imports({kept}, before_us=1 << 60)
    again = SessionKeys(b"k" * 32, tmp_path / "imported")
    assert again.session_key(kept) == b"a" * 32
    for each in (keys, again):
        with refused("P0234"):
            each.session_key(dropped)
    with refused("P0234"):
        keys.session_key(keys.put_import(None))


def changed(name: str, **fields: Any) -> Callable[[Members], Members]:
    """`session.json` with other fields in its part `name`; "" the whole."""

    def change(content: Members) -> Members:
        document = json.loads(content[parcel.HEAD])
        (document[name] if name else document).update(fields)
        return content | {parcel.HEAD: json.dumps(document).encode()}

    return change


def without(name: str) -> Callable[[Members], Members]:
    return lambda content: {each: data for each, data in content.items() if not each.startswith(name)}


def journal(*entries: jpb.Entry) -> Callable[[Members], Members]:
    data = b"".join(parcel.framed(entry.SerializeToString() for entry in entries))
    return lambda content: content | {parcel.JOURNAL: data}


def output(*lines: jpb.LogLine) -> Callable[[Members], Members]:
    data = b"".join(parcel.framed(line.SerializeToString() for line in lines))
    return lambda content: content | {parcel.OUTPUT: data}


BAD: dict[str, Callable[[Members], Members]] = {
    "no head": without(parcel.HEAD),
    "no journal": without(parcel.JOURNAL),
    "no build": without(parcel.BUILD),
    "no values": without(parcel.BLOBS),
    "more than there should be": lambda content: content | {"extra": b""},
    "a way out": lambda content: content | {"../out": b"x"},
    "a value nobody needs": lambda content: content | {f"{parcel.BLOBS}/{'a' * 64}": b""},
    "a damaged value": lambda content: {n: b"x" if n.startswith(parcel.BLOBS) else d for n, d in content.items()},
    "a short key": lambda content: content | {parcel.KEY: b"k"},
    "no JSON": lambda content: content | {parcel.HEAD: b"{"},
    "deep JSON": lambda content: content | {parcel.HEAD: b"[" * 100_000},
    "another format": changed("", format=99),
    "another build": changed("build", digest="a" * 64),
    "a build that is no path": changed("build", environment="../../etc/passwd"),
    "no number": changed("session", created_us="x"),
    "far away": changed("session", created_us=1 << 80),
    "a seed that no runner takes": changed("session", hash_seed=1 << 32),
    "an event of no form": changed("session", event_form=99),
    "a bad id": changed("session", session_id="../x"),
    "a bad project": changed("session", project="a b"),
    "a bad entry point": changed("session", entry_point="x"),
    "half a character": changed("session", entry_point="\ud800.py:run"),
    "a long entry point": changed("session", entry_point=f"{'a' * 2000}.py:run"),
    "half a character in the memo": changed("session", memo={"a": "\udfff"}),
    "no event": changed("session", event="e30x"),
    "a bad result": changed("session", result="////"),
    "a large memo": changed("session", memo={"a": "b" * 10_000}),
    "a build that is none": lambda content: content | {parcel.BUILD: b"x"},
    "a cut journal": lambda content: content | {parcel.JOURNAL: content[parcel.JOURNAL][:-1]},
    "a huge entry": lambda content: content | {parcel.JOURNAL: b"\xff\xff\xff\xff1"},
    "a gap": journal(jpb.Entry(seq=2)),
    "an ordinal that no column holds": journal(jpb.Entry(seq=1, ordinal=1 << 63)),
    "before time": journal(jpb.Entry(seq=1, at_us=-1)),
    "lines in no order": output(jpb.LogLine(ordinal=1), jpb.LogLine(ordinal=1)),
    "a line that no column holds": output(jpb.LogLine(ordinal=1, index=1 << 63)),
}


@pytest.mark.parametrize("why", BAD)
async def test_bad_files_are_refused_and_leave_nothing(home: Home, other: Home, why: str) -> None:
    await home.run([("big", "a")])
    await home.completed("s")
    content = members(await home.exported())
    with refused("P0229"):
        await other.imported(packed(BAD[why](content)))
    assert not other.store.list_sessions()


async def test_damaged_files_are_refused_or_harmless(home: Home, other: Home) -> None:
    await home.run([("activity", "a"), ("log", "x")])
    await home.completed("s")
    whole = await home.exported()
    chance = random.Random(5)
    codes = set()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        upto = chance.choice([len(damaged), chance.randrange(len(damaged))])
        try:
            session = await other.imported(bytes(damaged[:upto]))
        except PerdureError as error:
            codes.add(error.code)
        else:
            assert (await other.session(session.session_id)).ended_at
    assert codes == {"P0229"}
    with refused("P0229"):
        await other.imported(b"")


async def test_too_large_a_file_is_refused_at_both_ends(tmp_path: Path) -> None:
    home = Home(tmp_path, [], Settings(export_bytes=50_000))
    await home.begin()
    await home.deploy(tmp_path / "code")
    await home.run([("big", "a")])
    await home.completed("s")
    with refused("P0231"):
        await home.exported()
    with refused("P0231"):
        await home.imported(b"x" * 70_000)
    await home.coordinator.close()
