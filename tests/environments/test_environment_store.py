"""Environments of a host: made once, checked, read-only, shared by nobody who could change them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from perdure_runner.host import installing, uv
from perdure_runner.host.config import HostConfig, HostLimits
from perdure_runner.host.environments import EnvironmentStore
from perdure_runner.host.indexes import Indexes
from perdure_runner.host.installing import InstallError
from perdure_runner.host.locks import Lock, Package
from perdure_runner.host.pythons import Interpreter, Interpreters
from wheelhouse import Wheelhouse

HERE = Interpreter(sys.executable, sys.version_info[:3], sys.implementation.cache_tag or "")
PYTHON = "{}.{}".format(*sys.version_info)


class Blobs:
    """A coordinator that has locks."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def receive(self, message: object) -> None:
        raise AssertionError(message)

    async def fetch_blob(self, digest: str) -> AsyncIterator[bytes]:
        yield self.blobs[digest]

    def lock(self, *wheels: Path, python: str = PYTHON) -> str:
        """Keep a lock of these files; its digest."""
        packages = []
        for wheel in wheels:
            name, version, *_ = wheel.name.split("-")
            packages.append(Package(name.replace("_", "-"), version, (f"sha256:{_sha(wheel)}",)))
        data = Lock(python, tuple(packages)).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


Make = Callable[..., EnvironmentStore]


@pytest.fixture(name="blobs")
def blobs_fixture() -> Blobs:
    return Blobs()


@pytest.fixture(name="make")
def make_fixture(tmp_path: Path, blobs: Blobs, sources: Indexes) -> Iterator[Make]:
    """Stores that share a folder, as hosts on one machine may."""
    made = []

    def make(limits: HostLimits | None = None, in_use: Callable[[], set[str]] = set) -> EnvironmentStore:
        config = HostConfig(state_dir=tmp_path / "host", limits=limits or HostLimits())
        store = EnvironmentStore(config, blobs, in_use, sources)
        store.prepare()
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


async def test_many_ask_and_it_is_made_once(
    make: Make, blobs: Blobs, house: Wheelhouse, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = blobs.lock(house.wheel("tiny", "1.0"))
    one, two = make(), make()
    places = await asyncio.gather(*(store.get(digest, HERE) for store in (one, two, one, two)))
    assert len(set(places)) == 1
    assert (places[0] / "tiny.py").read_text() == "VERSION = '1.0'\n"
    assert one.digests() == two.digests() == [digest]
    assert one.at_hand(digest, HERE) == places[0]
    assert one.at_hand(digest, replace(HERE, cache_tag="cpython-399")) is None
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"perdure: installing 1 package for Python {PYTHON} ..."
    assert len(said) == 2


async def test_it_is_compiled_read_only_and_without_path_files(make: Make, blobs: Blobs, house: Wheelhouse) -> None:
    wheel = house.wheel("odd", "1.0", {"odd/__init__.py": "", "odd/bad.py": "print 1\n", "odd.pth": "import os\n"})
    site = await make().get(blobs.lock(wheel), HERE)
    assert not list(site.glob("*.pth"))
    assert (site / "odd/__pycache__" / f"__init__.{HERE.cache_tag}.pyc").exists()
    paths = [site.parent, site, *site.rglob("*")]
    assert [path for path in paths if path.stat().st_mode & 0o222] == []
    assert [path for path in paths if path.is_file() and path.stat().st_nlink > 1] == []


async def test_programs_stay_programs(make: Make, blobs: Blobs, house: Wheelhouse) -> None:
    wheel = house.wheel("tool", "1.0", {"tool.py": "", "tool-1.0.data/scripts/tool.sh": "#!/bin/sh\n"})
    site = await make().get(blobs.lock(wheel), HERE)
    assert stat.S_IMODE((site / "bin/tool.sh").stat().st_mode) == 0o555


async def test_two_environments_share_no_file(make: Make, blobs: Blobs, house: Wheelhouse) -> None:
    """What one tenant could change in place, as the same user without a sandbox, no other sees, nor does uv's cache."""
    tiny, other = house.wheel("tiny", "1.0"), house.wheel("other", "1.0")
    store = make()
    first, second = [await store.get(digest, HERE) for digest in (blobs.lock(tiny), blobs.lock(tiny, other))]
    poisoned = first / "tiny.py"
    poisoned.chmod(0o644)
    poisoned.write_text("VERSION = 'poison'\n")
    third = await store.get(blobs.lock(house.wheel("more", "1.0"), tiny), HERE)
    assert {(site / "tiny.py").read_text() for site in (second, third)} == {"VERSION = '1.0'\n"}


async def test_files_that_differ_from_what_is_listed_are_found(
    make: Make, blobs: Blobs, house: Wheelhouse, sources: Indexes
) -> None:
    """uv's cache holds unpacked wheels, and does not look at them again."""
    wheel = house.wheel("tiny", "1.0")
    await make().get(blobs.lock(wheel), HERE)
    cached = list(Path(sources.environment["UV_CACHE_DIR"]).rglob("tiny.py"))
    assert cached
    for path in cached:
        path.write_text("VERSION = 'poison'\n")
    again = blobs.lock(wheel, house.wheel("other", "1.0"))
    with pytest.raises(InstallError, match=r"'tiny\.py' is not the file that its package lists") as caught:
        await make().get(again, HERE)
    assert caught.value.code == "P0304"


@pytest.mark.parametrize("record", [b"\xff,,\n", b"a\0b,sha256=x,1\n", b'"' + b"x" * 200_000 + b'",,\n', b"alone\n"])
def test_a_list_of_files_that_is_none_is_refused_for_good(tmp_path: Path, record: bytes) -> None:
    info = tmp_path / "tiny-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_bytes(record)
    with pytest.raises(InstallError, match=r"tiny-1\.0\.dist-info has a list of files that cannot be read") as caught:
        installing.check(tmp_path, 1 << 30)
    assert caught.value.code == "P0304"


async def test_a_file_with_another_hash_is_not_installed(make: Make, blobs: Blobs, house: Wheelhouse) -> None:
    digest = blobs.lock(house.wheel("tiny", "1.0", {"tiny.py": "old"}))
    house.wheel("tiny", "1.0", {"tiny.py": "new"})
    store = make()
    with pytest.raises(InstallError, match=r"[Hh]ash mismatch") as caught:
        await store.get(digest, HERE)
    assert caught.value.code == "P0304"
    assert store.digests() == []


async def test_a_lock_for_another_python_is_of_no_use(make: Make, blobs: Blobs, house: Wheelhouse) -> None:
    digest = blobs.lock(house.wheel("tiny", "1.0"), python="3.99")
    with pytest.raises(InstallError, match=r"locked for Python 3\.99"):
        await make().get(digest, HERE)


async def test_damaged_and_foreign_blobs_are_refused(make: Make, blobs: Blobs) -> None:
    store = make()
    with pytest.raises(InstallError, match="is no digest"):
        await store.get("../../x", HERE)
    blobs.blobs["0" * 64] = b"{}"
    with pytest.raises(InstallError, match="arrived damaged") as caught:
        await store.get("0" * 64, HERE)
    assert caught.value.code == ""
    no_lock = hashlib.sha256(b"{}").hexdigest()
    blobs.blobs[no_lock] = b"{}"
    with pytest.raises(InstallError, match="no lock"):
        await store.get(no_lock, HERE)


async def test_more_than_one_project_may_have_is_refused(make: Make, blobs: Blobs, house: Wheelhouse) -> None:
    wheel = house.wheel("big", "1.0", {"big.py": "#" * (2 << 20)})
    with pytest.raises(InstallError, match="more than 1"):
        await make(HostLimits(environment_bytes=1 << 20)).get(blobs.lock(wheel), HERE)


async def test_a_wheel_that_unpacks_to_ever_more_does_not_fill_the_disk(
    make: Make, blobs: Blobs, house: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "uv"
    endless.write_text(
        f"#!{sys.executable}\nwith open('/dev/null', 'wb') as file:\n    while file.write(bytes(65536)): pass\n"
    )
    endless.chmod(0o755)
    monkeypatch.setattr(uv, "executable", lambda: str(endless))
    monkeypatch.setattr(installing, "_SPARE_BYTES", 0)
    with pytest.raises(InstallError, match="more than 4") as caught:
        await make(HostLimits(environment_bytes=1 << 20)).get(blobs.lock(house.wheel("a", "1.0")), HERE)
    assert caught.value.code == "P0304"


async def test_the_least_recently_used_goes_when_there_are_too_many(
    make: Make, blobs: Blobs, house: Wheelhouse
) -> None:
    used: set[str] = set()
    store = make(HostLimits(environments_bytes=10_000), lambda: used)
    digests = [blobs.lock(house.wheel(name, "1.0", {f"{name}.py": "#" * 4000})) for name in "abc"]
    used.add(digests[0])
    for moment, digest in enumerate(digests):
        await store.get(digest, HERE)
        os.utime(store._root / f"{digest}-{HERE.cache_tag}.lock", (moment, moment))
    assert store.digests() == sorted([digests[0], digests[2]])
    used.clear()
    assert (await store.get(digests[1], HERE)).is_dir()
    assert digests[0] not in store.digests()


async def test_what_was_made_ahead_and_nobody_has_asked_for_goes_first(
    make: Make, blobs: Blobs, house: Wheelhouse
) -> None:
    store = make(HostLimits(environments_bytes=10_000))
    digests = [blobs.lock(house.wheel(name, "1.0", {f"{name}.py": "#" * 4000})) for name in "abcd"]
    await store.get(digests[0], HERE)
    await store.get(digests[1], HERE, ahead=True)
    assert store.digests() == sorted(digests[:2])
    await store.get(digests[2], HERE, ahead=True)
    assert store.digests() == sorted([digests[0], digests[2]])
    await store.get(digests[2], HERE)  # a session does
    await store.get(digests[3], HERE, ahead=True)
    assert store.digests() == sorted([digests[2], digests[3]])


async def test_what_another_host_uses_stays(make: Make, blobs: Blobs, house: Wheelhouse) -> None:
    mine, other = make(HostLimits(environments_bytes=1)), make()
    held = blobs.lock(house.wheel("tiny", "1.0"))
    await other.get(held, HERE)
    await mine.get(blobs.lock(house.wheel("tiny", "2.0")), HERE)
    assert held in mine.digests()
    other.close()
    await mine.get(blobs.lock(house.wheel("third", "1.0")), HERE)
    assert held not in mine.digests()


async def test_whoever_waits_for_another_host_gets_what_that_made(
    make: Make, blobs: Blobs, house: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = blobs.lock(house.wheel("tiny", "1.0"))
    first = await make().get(digest, HERE)
    monkeypatch.setattr(installing, "install", None)  # nothing is installed any more
    assert await make().get(digest, HERE) == first


async def test_the_interpreter_of_a_lock_is_the_usual_one_without_a_search() -> None:
    """Every project with requirements says its version, and is to start as fast as others."""
    pythons = Interpreters()
    default = await pythons.resolve("")
    for name in ("", PYTHON, f"{PYTHON}.{sys.version_info[2]}", sys.executable):
        assert pythons.means(name, default)
    for name in ("3.99", "/usr/bin/other"):
        assert not pythons.means(name, default)


async def test_left_overs_of_dead_hosts_are_cleared_away(make: Make, tmp_path: Path) -> None:
    left = tmp_path / "host/environments/tmp-999999999-x"
    left.mkdir(parents=True)
    (left / "file").touch()
    left.chmod(0o555)
    make()
    assert not left.exists()
