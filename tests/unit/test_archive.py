"""Hostile tarballs are refused, each for its own reason, and leave nothing behind."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_runner.host.archive import ArchiveError, ArchiveLimits, extract


def info(name: str, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(member, key, value)
    return member


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def file(name: str, data: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, **fields), data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, type=kind, linkname=target), b""


def special(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, type=kind), b""


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return special(name, tarfile.DIRTYPE)


def tree(root: Path) -> dict[str, str]:
    """Path -> mode and content, of everything below."""
    found = {}
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode & 0o7777
        if path.is_symlink():
            found[str(path.relative_to(root))] = f"-> {os.readlink(path)}"
        elif path.is_dir():
            found[str(path.relative_to(root))] = f"{mode:o}/"
        else:
            found[str(path.relative_to(root))] = f"{mode:o} {path.read_text()}"
    return found


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("packed", [False, True])
def test_ordinary_builds(tmp_path: Path, form: int, packed: bool) -> None:
    long = "d" * 60 + "/" + "f" * 90 + ".py"
    data = tar(
        file("main.py", b"m", mode=0o600),
        file("run.sh", b"r", mode=0o4711),
        folder("empty"),
        file("./a/b/c.py", b"c"),
        folder("a"),
        file("a/empty.py", b""),
        link("a/up.py", "../main.py"),
        file(long, b"l"),
        form=form,
    )
    before = os.umask(0o077)  # must not decide what is readable
    try:
        extract(gzip.compress(data) if packed else data, tmp_path / "out")
    finally:
        os.umask(before)
    assert tree(tmp_path / "out") == {
        "a": "755/",
        "a/b": "755/",
        "a/b/c.py": "644 c",
        "a/empty.py": "644 ",
        "a/up.py": "-> ../main.py",
        "d" * 60: "755/",
        long: "644 l",
        "empty": "755/",
        "main.py": "644 m",
        "run.sh": "755 r",
    }


def test_sources_of_every_kind(tmp_path: Path) -> None:
    data = gzip.compress(tar(file("a.py")))

    def bytewise() -> Iterator[bytes]:
        for index in range(len(data)):
            yield data[index : index + 1]

    for number, source in enumerate((data, io.BytesIO(data), bytewise(), [b"", data, b""])):
        extract(source, tmp_path / str(number))
        assert tree(tmp_path / str(number)) == {"a.py": "644 x"}


def pax(name: str, **headers: str) -> tuple[tarfile.TarInfo, bytes]:
    return info(name, pax_headers=headers), b"x"


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


GOOD = tar(file("a.py"), file("b.py"))

HOSTILE: dict[str, tuple[str, bytes | Callable[[], bytes]]] = {
    "empty": ("P0120", b""),
    "text": ("P0120", b"no tarball " * 100),
    "short text": ("P0120", b"x"),
    "damaged header": ("P0120", damaged(GOOD, 1024 + 20)),
    "no end": ("P0120", GOOD[:1024]),
    "cut in a header": ("P0120", GOOD[:1200]),
    "cut in content": ("P0120", GOOD[:513]),
    "cut gzip": ("P0120", gzip.compress(GOOD)[:-9]),
    "damaged gzip": ("P0120", damaged(gzip.compress(GOOD), 30)),
    "wrong checksum": ("P0120", damaged(gzip.compress(GOOD), -6)),
    "more after gzip": ("P0120", gzip.compress(GOOD) + b"more"),
    "pax number": ("P0120", lambda: tar(pax("a", size="-1"))),
    "absolute": ("P0121", tar(file("/etc/passwd"))),
    "dot dot": ("P0121", tar(file("a/../../b"))),
    "dot dot alone": ("P0121", tar(folder(".."))),
    "dot dot by pax": ("P0121", tar(pax("a", path="../b"))),
    "control characters": ("P0121", tar(file("a\nb"))),
    "not UTF-8": ("P0121", tar(file("a\udcff"), form=tarfile.GNU_FORMAT)),
    "long name": ("P0121", tar(file("n" * 300))),
    "long path": ("P0121", tar(file("n/" * 600 + "x"))),
    "the root as a file": ("P0123", tar(file("."))),
    "link to an absolute path": ("P0122", tar(link("a", "/etc/passwd"))),
    "link out": ("P0122", tar(link("a/b", "../../c"))),
    "link out and in": ("P0122", tar(link("a", "../out/b"))),
    "link through a link": ("P0122", tar(folder("x/y"), link("x/y/up", "../.."), link("out", "x/y/up/.."))),
    "link to nothing": ("P0122", tar(link("a", ""))),
    "link loop": ("P0122", tar(link("d/e", ".."), link("a", "d/e/../.."))),
    "hard link": ("P0122", tar(file("a"), link("b", "a", tarfile.LNKTYPE))),
    "character device": ("P0122", tar(special("a", tarfile.CHRTYPE))),
    "block device": ("P0122", tar(special("a", tarfile.BLKTYPE))),
    "pipe": ("P0122", tar(special("a", tarfile.FIFOTYPE))),
    "sparse": ("P0122", tar(special("a", tarfile.GNUTYPE_SPARSE))),
    "sparse by pax": ("P0122", tar(pax("a", **{"GNU.sparse.major": "1"}))),
    "unknown kind": ("P0122", tar(special("a", b"V"))),
    "twice": ("P0123", tar(file("a"), file("a"))),
    "twice, spelt otherwise": ("P0123", tar(file("a/b"), file("./a//b"))),
    "case": ("P0123", tar(file("Readme"), file("README"))),
    "case of a folder": ("P0123", tar(file("a/b"), file("A/c"))),
    "composed letters": ("P0123", tar(file("\u00e9"), file("e\u0301"))),
    "file and folder": ("P0123", tar(file("a"), file("a/b"))),
    "folder and file": ("P0123", tar(file("a/b"), file("a"))),
    "through a link": ("P0123", tar(folder("d"), link("a", "d"), file("a/b"))),
    "link twice": ("P0123", tar(link("a", "d"), link("a", "e"))),
    "too many": ("P0124", tar(*(file(f"f{number}", b"") for number in range(101)))),
    "too large": ("P0124", tar(file("a", b"x" * 3_000_000))),
    "claims to be too large": ("P0120", lambda: tar(pax("a", size="9" * 18))),
    "large headers": ("P0124", lambda: tar(pax("a", comment="x" * 100_000))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(tmp_path: Path, name: str) -> None:
    code, made = HOSTILE[name]
    data = made if isinstance(made, bytes) else made()
    for number, variant in enumerate((data, gzip.compress(data))):
        if "gzip" in name or "checksum" in name:
            variant = data
        with pytest.raises(ArchiveError) as caught:
            extract(variant, tmp_path / str(number) / "out", ArchiveLimits(files=100, total_bytes=2_000_000))
        assert (caught.value.code, tree(tmp_path / str(number))) == (code, {}), caught.value.message


def test_a_bomb_stops_long_before_its_size(tmp_path: Path) -> None:
    bomb = gzip.compress(tar(file("zeros", b"\0" * 100_000_000)), 9)
    assert len(bomb) < 150_000
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for start in range(0, len(bomb), 1000):
            taken += 1000
            yield bomb[start : start + 1000]

    with pytest.raises(ArchiveError, match="200 times its size") as caught:
        extract(pieces(), tmp_path / "out")
    assert caught.value.code == "P0124"
    assert taken < len(bomb) / 2


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    with pytest.raises(FileExistsError):
        extract(GOOD, tmp_path)
    assert tree(tmp_path) == {"kept": "644 kept"}


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damage_never_writes_outside_and_fails_only_as_archive_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("fuzz")
    archive = bytearray(tar(file("a/b.py", b"x" * 600), link("l", "a/b.py"), pax("p" * 120), folder("d")))
    for _ in range(data.draw(st.integers(1, 6))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    try:
        extract(bytes(archive), root / "out", ArchiveLimits(total_bytes=10_000_000))
    except ArchiveError:
        assert os.listdir(root) == []
    else:
        assert os.listdir(root) == ["out"]
