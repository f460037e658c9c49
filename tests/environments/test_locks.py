"""Requirements become a lock, once; what cannot be resolved is told with the line that asks for it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from perdure_runner.host import uv
from perdure_runner.host.indexes import Indexes
from perdure_runner.host.locks import Lock, LockError, Package
from perdure_server.core.errors import PerdureError
from perdure_server.environments import resolving
from perdure_server.environments.lines import Place, Requirement, logical_lines, parse
from perdure_server.environments.locks import Locks
from perdure_server.environments.reading import Wanted
from perdure_server.store.blobs import BlobStore
from wheelhouse import Wheelhouse

SHA = "sha256:" + "0" * 64


def want(text: str, python: str = "3.11", *, sdists: bool = False) -> Wanted:
    found = [parse(line, place) for line, place in logical_lines(text, "requirements.txt")]
    return Wanted(tuple(each for each in found if isinstance(each, Requirement)), (), python, sdists)


@pytest.fixture(name="runs")
def runs_fixture(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands of uv that were run."""
    made: list[str] = []
    run: Callable[..., Coroutine[Any, Any, uv.Finished]] = uv.run

    async def counted(arguments: list[str], *rest: Any, **more: Any) -> uv.Finished:
        made.append(arguments[1])
        return await run(arguments, *rest, **more)

    monkeypatch.setattr(uv, "run", counted)
    return made


@pytest.fixture(name="locks")
def locks_fixture(tmp_path: Path, sources: Indexes) -> Locks:
    return Locks(BlobStore(tmp_path / "blobs"), tmp_path / "locks", sources)


async def test_the_newest_that_fits_with_what_it_needs(house: Wheelhouse, sources: Indexes) -> None:
    wheel = house.wheel("needy", "1.0", requires=["tiny<2", "perdure>=99"])
    lock = await resolving.resolve(want("needy\n"), sources)
    assert [str(each) for each in lock.packages] == ["needy==1.0", "tiny==1.0"]
    assert lock.packages[0].hashes == ("sha256:" + hashlib.sha256(wheel.read_bytes()).hexdigest(),)
    assert (lock.python, lock.sdists) == ("3.11", False)


async def test_the_same_request_is_resolved_once(
    locks: Locks, runs: list[str], tmp_path: Path, sources: Indexes
) -> None:
    first = await locks.lock(want("tiny\n"))
    again = await locks.lock(want("# a comment\ntiny   # and space\n"))
    assert (first.reused, again.reused, runs) == (False, True, ["compile"])
    assert first.digest == again.digest
    assert first.packages == 1
    other = Locks(BlobStore(tmp_path / "blobs"), tmp_path / "locks", sources)  # the coordinator was started anew
    assert (await other.lock(want("tiny\n"))).reused
    assert runs == ["compile"]
    print(f"an environment locked before: {again.took_ms:.2f} ms")


async def test_a_server_may_build_nothing(locks: Locks, runs: list[str], tmp_path: Path, sources: Indexes) -> None:
    await locks.lock(want("tiny\n", sdists=True))
    strict = Locks(BlobStore(tmp_path / "blobs"), tmp_path / "locks", sources, build_sdists=False)
    with pytest.raises(PerdureError, match="this server builds none") as refused:
        await strict.lock(want("tiny\n", sdists=True))  # though it is known
    assert refused.value.code == "P0305"
    assert runs == ["compile"]


async def test_packages_of_autokitteh_projects_are_built_where_the_server_builds_any(
    house: Wheelhouse, tmp_path: Path, sources: Indexes
) -> None:
    house.source("only-source", "1.0", "")
    wanted = replace(want("tiny\n", sdists=True), theirs=True)
    strict = Locks(BlobStore(tmp_path / "blobs"), tmp_path / "locks", sources, build_sdists=False)
    assert (await strict.lock(wanted)).packages == 1
    with pytest.raises(PerdureError, match="only-source has no wheel") as refused:
        await strict.lock(replace(want("only-source\n", sdists=True), theirs=True))
    assert refused.value.help == (
        "choose another version, or ask the server's operator for `perdure serve --build-sdists`"
    )


async def test_another_interpreter_is_another_request(locks: Locks, runs: list[str]) -> None:
    await locks.lock(want("tiny\n"))
    assert not (await locks.lock(want("tiny\n", "3.12"))).reused
    assert len(runs) == 2


async def test_many_at_once_resolve_once(locks: Locks, runs: list[str]) -> None:
    found = await asyncio.gather(*(locks.lock(want("tiny\n")) for _ in range(5)))
    assert len({each.digest for each in found}) == 1
    assert runs == ["compile"]


async def test_an_upgrade_resolves_anew_and_for_good(house: Wheelhouse, locks: Locks) -> None:
    old = await locks.lock(want("tiny\n"))
    house.wheel("tiny", "3.0")
    assert (await locks.lock(want("tiny\n"))).digest == old.digest
    new = await locks.lock(want("tiny\n"), upgrade=True)
    assert (new.digest == old.digest, new.reused) == (False, False)
    assert (await locks.lock(want("tiny\n"))).digest == new.digest


async def test_what_a_lock_was_lost_is_resolved_again(locks: Locks, tmp_path: Path, runs: list[str]) -> None:
    digest = (await locks.lock(want("tiny\n"))).digest
    BlobStore(tmp_path / "blobs").discard(digest, 1 << 60)
    assert (await locks.lock(want("tiny\n"))).digest == digest
    assert len(runs) == 2


async def refusal(text: str, sources: Indexes) -> PerdureError:
    with pytest.raises(PerdureError) as caught:
        await resolving.resolve(want(text), sources)
    return caught.value


async def test_what_excludes_each_other_is_told_with_its_line(house: Wheelhouse, sources: Indexes) -> None:
    house.wheel("needy", "1.0", requires=["tiny<2"])
    error = await refusal("# two\nneedy\ntiny==2.0\n", sources)
    assert (error.code, error.location) == ("P0303", "requirements.txt:2:1")
    assert "needy depend on tiny<2" in error.message
    assert error.help == "loosen what excludes each other"


async def test_a_package_that_is_not_there_is_named(sources: Indexes) -> None:
    error = await refusal("tiny\nno-such-thing\n", sources)
    assert (error.code, error.location) == ("P0303", "requirements.txt:2:1")
    assert "no-such-thing was not found" in error.message
    assert error.help.startswith("is its name right?")
    assert (await refusal("tiny==99\n", sources)).help == "name a version that the index has"


async def test_a_source_distribution_is_named_and_not_run(house: Wheelhouse, sources: Indexes, tmp_path: Path) -> None:
    house.source("only-source", "1.0", f"open({str(tmp_path / 'ran')!r}, 'w')")
    error = await refusal("tiny\nonly-source\n", sources)
    assert (error.code, error.location) == ("P0305", "requirements.txt:2:1")
    assert error.message.startswith("only-source has no wheel for Python 3.11")
    assert not (tmp_path / "ran").exists()


async def test_a_wheel_for_other_interpreters_only_does_not_fit(house: Wheelhouse, sources: Indexes) -> None:
    house.wheel("fast", "1.0", tag="cp37-cp37m-manylinux2014_x86_64")
    assert (await refusal("fast\n", sources)).code in {"P0303", "P0305"}


async def test_hashes_of_the_project_narrow_the_lock(house: Wheelhouse, sources: Indexes) -> None:
    found = (await resolving.resolve(want("tiny==1.0\n"), sources)).packages[0].hashes[0]
    kept = await resolving.resolve(want(f"tiny==1.0 --hash={found} --hash={SHA}\n"), sources)
    assert kept.packages[0].hashes == (found,)
    error = await refusal(f"tiny==1.0 --hash={SHA}\n", sources)
    assert (error.code, error.message) == ("P0303", "the index has no file of tiny==1.0 with one of the hashes")


async def test_uv_is_killed_when_its_time_is_over(tmp_path: Path, sources: Indexes) -> None:
    slow = ["/bin/sh", "-c", "sleep 1000 & sleep 1000"]
    finished = await uv.run(["--version"], sources, tmp_path, 0.1, before=slow)
    assert (finished.status, finished.may_pass) == (None, True)


def test_a_lock_is_canonical_and_says_what_uv_installs() -> None:
    packages = (Package("b", "2", (SHA,)), Package("a", "1", (SHA,)))
    lock = Lock("3.11", packages)
    assert Lock.parse(lock.encode()).encode() == Lock("3.11", packages[::-1]).encode()
    assert Lock.parse(lock.encode()).requirements() == f"a==1 --hash={SHA}\nb==2 --hash={SHA}\n"


@pytest.mark.parametrize(
    "package",
    [
        ("../x", "1", SHA),
        ("-r", "1", SHA),
        ("x", "1 @ http://example.com", SHA),
        ("x", "1\n-e .", SHA),
        ("x", "1", "sha256:0 --index-url=x"),
        ("x", "1", "md5:" + "0" * 64),
    ],
)
def test_a_lock_can_hold_no_option(package: tuple[str, str, str]) -> None:
    name, version, digest = package
    with pytest.raises(LockError):
        Lock.parse(Lock("3.11", (Package(name, version, (digest,)),)).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": 9}', b'{"format": 1, "packages": [[1]]}', b"[" * 100_000])
def test_what_is_no_lock_is_refused(data: bytes) -> None:
    with pytest.raises(LockError):
        Lock.parse(data)


def test_a_place_without_a_line_is_a_file() -> None:
    assert Place("perdure.yaml", 0, "").fault("x").location == "perdure.yaml"
