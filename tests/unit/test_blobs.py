"""Blobs are stored once, checked when read, and take large payloads out of entries."""

import errno
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from perdure_proto.v1 import journal_pb2
from perdure_server.core.errors import PerdureError
from perdure_server.store import SPILL_BYTES, BlobStore, inline, spill

_LATER_US = 1 << 60


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_put_get_exists_discard(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    digest = blobs.put(b"hello")
    assert digest == hashlib.sha256(b"hello").hexdigest()
    assert blobs.put(iter([b"hel", b"lo"])) == digest
    assert files(tmp_path / "blobs") == [f"{digest[:2]}/{digest}"]
    assert (blobs.get(digest), b"".join(blobs.chunks(digest)), blobs.exists(digest)) == (b"hello", b"hello", True)
    assert [blobs.discard(digest, _LATER_US) for _ in range(2)] == [5, 0]
    assert not blobs.exists(digest)
    with pytest.raises(PerdureError) as caught:
        blobs.get(digest)
    assert caught.value.code == "P0209"
    with pytest.raises(PerdureError):
        next(blobs.chunks(digest))


def test_a_damaged_blob_is_not_given_out(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    digest = blobs.put(b"hello")
    (tmp_path / digest[:2] / digest).write_bytes(b"hullo")
    with pytest.raises(PerdureError) as caught:
        blobs.get(digest)
    assert caught.value.code == "P0209"


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_digests_become_paths(tmp_path: Path, digest: str) -> None:
    with pytest.raises(PerdureError) as caught:
        BlobStore(tmp_path).get(digest)
    assert caught.value.code == "P0212"


def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        BlobStore(tmp_path).put(broken())
    assert files(tmp_path) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PerdureError) as caught:
        BlobStore(tmp_path).put(b"x")
    assert caught.value.code == "P0211"
    assert files(tmp_path) == []


def payload(size: int) -> journal_pb2.Payload:
    return journal_pb2.Payload(data=b"x" * size, size=size, mac=b"m", preview="x")


@pytest.mark.parametrize("field", ["outcome", "resolution"])
def test_large_payloads_leave_the_entry_and_come_back(tmp_path: Path, field: str) -> None:
    blobs = BlobStore(tmp_path)
    entry = journal_pb2.Entry(seq=1)
    (entry.outcome if field == "outcome" else entry.resolution.payload).CopyFrom(payload(SPILL_BYTES + 1))
    before = entry.SerializeToString()
    assert spill(entry, blobs)
    assert entry.ByteSize() < 200
    assert not spill(entry, blobs)
    assert inline(entry, blobs)
    assert entry.SerializeToString() == before
    assert not inline(entry, blobs)


def test_small_payloads_and_bare_entries_stay(tmp_path: Path) -> None:
    entry = journal_pb2.Entry(outcome=payload(SPILL_BYTES), resolution=journal_pb2.Resolution(name="s"))
    assert not spill(entry, BlobStore(tmp_path))
    assert not spill(journal_pb2.Entry(), BlobStore(tmp_path))
    assert files(tmp_path) == []


def test_a_file_can_be_stored_by_its_lines(tmp_path: Path) -> None:
    text = b"a\n" * 1000
    assert BlobStore(tmp_path).put(io.BytesIO(text)) == hashlib.sha256(text).hexdigest()
