"""Fifteen attacks by archives, through the door they come in by: a deployment. What single members may be is tested in
tests/unit/test_archive.py; here it is what an attacker gets, and that the coordinator goes on."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_runner.host.archive import ArchiveError, ArchiveLimits, extract
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.build import digest
from perdure_server.store import BlobStore, SessionKeys, Store

CHUNK = 64 * 1024


def tar(*members: tuple[str, bytes, bytes, str]) -> bytes:
    """Members as (name, type, content, target of a link)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname, member.mode = kind, len(content), target, 0o6777
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def file(name: str, content: bytes = b"evil = 1\n") -> tuple[str, bytes, bytes, str]:
    return name, tarfile.REGTYPE, content, ""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[str, bytes, bytes, str]:
    return name, kind, b"", target


def special(name: str, kind: bytes) -> tuple[str, bytes, bytes, str]:
    return name, kind, b"", ""


def headers(count: int) -> bytes:
    """Extended headers one after the other, each with a key of its own, and no member that they belong to."""
    one = tarfile.TarInfo("a")
    blocks = []
    for number in range(count):
        one.pax_headers = {f"key{number}": "x" * 60_000}
        blocks.append(one.tobuf(tarfile.PAX_FORMAT)[: -tarfile.BLOCKSIZE])
    return b"".join(blocks)


def attacks(outside: Path) -> dict[str, tuple[str, bytes]]:
    """What each tries to do to `outside`, or to whoever unpacks it; and the code that it is refused with."""
    return {
        "absolute path": ("P0121", tar(file(f"{outside}/planted.py"))),
        "parent folder": ("P0121", tar(file("../" * 12 + f"{outside}/planted.py".lstrip("/")))),
        "sibling with the same beginning": ("P0121", tar(file("../project-sibling/planted.py"))),
        "link out": ("P0122", tar(link("out", str(outside)))),
        "write through a link": ("P0122", tar(link("out", str(outside)), file("out/planted.py"))),
        "link through links": (
            "P0122",
            tar(special("x/y", tarfile.DIRTYPE), link("x/y/up", "../.."), link("out", "x/y/up/..")),
        ),
        "hard link out": ("P0122", tar(link("stolen", f"{outside}/kept", tarfile.LNKTYPE))),
        "device": ("P0122", tar(special("memory", tarfile.CHRTYPE))),
        "pipe that hangs its reader": ("P0122", tar(special("main.py", tarfile.FIFOTYPE))),
        "overwrite what was checked": ("P0123", tar(file("main.py", b"x = 1\n"), file("main.py"))),
        "overwrite by case": ("P0123", tar(file("main.py", b"x = 1\n"), file("Main.py"))),
        "compression bomb": ("P0124", gzip.compress(tar(file("zeros", bytes(64 << 20))), 9)),
        "folders in folders": ("P0121", tar(file("d/" * 500 + "f"))),
    }


ATTACKS = tuple(attacks(Path("/")))


async def parts(tarball: bytes) -> AsyncIterator[pb.DeployRequest]:
    yield pb.DeployRequest(header=pb.DeployHeader(project="p"))
    for start in range(0, len(tarball), CHUNK):
        yield pb.DeployRequest(chunk=tarball[start : start + CHUNK])


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_gets_nothing_and_the_coordinator_goes_on(
    attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, scratch, blobs = (tmp_path / name for name in ("outside", "scratch", "blobs"))
    for folder in (outside, scratch):
        folder.mkdir()
    (outside / "kept").write_text("kept")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    code, tarball = attacks(outside)[attack]
    coordinator = Coordinator(Store.memory(), BlobStore(blobs), SessionKeys.random(), Settings(isolate_scan=False))
    control = Control(coordinator)
    with pytest.raises(PerdureError) as caught:
        await control.deploy(parts(tarball))
    assert caught.value.code == code, caught.value.message
    assert everything(outside) == ["kept"]
    assert everything(scratch) == []
    assert not BlobStore(blobs).exists(digest(tarball))
    assert coordinator.store.build(digest(tarball)) is None
    good = tar(file("main.py", b"def main(event): ...\n"))
    assert (await control.deploy(parts(good))).build_id == digest(good)
    await coordinator.close()


COUNTS = {
    "files without number": tar(*(file(f"f{n}", b"") for n in range(301))),
    "folders that no member names": tar(*(file(f"{n}/" + "d/" * 60 + "f", b"") for n in range(5))),
}


@pytest.mark.parametrize("attack", COUNTS)
def test_what_has_no_size_is_counted(attack: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as caught:
        extract(COUNTS[attack], tmp_path / "out", ArchiveLimits(files=300))
    assert caught.value.code == "P0124"
    assert everything(tmp_path) == []


def test_there_are_fifteen() -> None:
    assert len(ATTACKS) + len(COUNTS) == 15


def test_modes_are_ours(tmp_path: Path) -> None:
    extract(tar(file("a.py")), tmp_path / "out")
    assert os.stat(tmp_path / "out" / "a.py").st_mode & 0o7777 == 0o755


def test_headers_without_a_member_take_no_memory(tmp_path: Path) -> None:
    """They are as large as the limit lets them be; the reader keeps none of them."""
    import tracemalloc

    data = gzip.compress(headers(400))  # 24 MB unpacked

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError) as caught:
            extract(pieces(), tmp_path / "out", ArchiveLimits(ratio=10_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == "P0120"
    assert peak < 8 << 20
