"""Large things by their sha256: builds, and payloads that would bloat the journal."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from perdure_proto.v1 import journal_pb2

from perdure_server.core.errors import PerdureError
from perdure_server.store.home import sync_directory

# Payloads above this many bytes go to the blob store.
SPILL_BYTES: Final = 64 * 1024
_CHUNK: Final = 256 * 1024
_FAULTS: Final = {
    errno.ENOSPC: "P0211",
    errno.EDQUOT: "P0211",
    errno.EFBIG: "P0211",
    errno.EIO: "P0209",
    errno.EROFS: "P0209",
}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Files under ROOT/ab/abcdef..., written once, durable before they are named.

    Calls block on the disk: an event loop makes them in a thread.

    A blob that is stored, or stored again, is young: what collects old ones never takes away what is about to be
    referred to. One process has the home, so a lock of its own keeps the two apart.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._naming = threading.Lock()

    @property
    def root(self) -> Path:
        """The folder of all blobs, in the home."""
        return self._root

    def put(self, data: bytes | Iterable[bytes]) -> str:
        """Store the data and return its digest in hex. Stored before: nothing happens. P0211 when the disk is full."""
        chunks = (data,) if isinstance(data, bytes) else data
        self._root.mkdir(parents=True, exist_ok=True)
        draft = self._root / f".{os.getpid()}.{secrets.token_hex(8)}"
        digest = hashlib.sha256()
        try:
            with draft.open("xb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            name = digest.hexdigest()
            self._adopt(draft, self._path(name))
        except OSError as error:
            # The source of the chunks may raise one too: what is no fault of the disk stays as it is.
            if error.errno not in _FAULTS:
                raise
            raise PerdureError(_FAULTS[error.errno], f"a blob cannot be written ({error.strerror})") from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
        return name

    def get(self, digest: str) -> bytes:
        """The data. P0209 when it is not there or not what its digest says."""
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise PerdureError("P0209", f"blob {digest} is missing") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise PerdureError("P0209", f"blob {digest} is damaged")
        return data

    def head(self, digest: str, size: int = 16) -> bytes:
        """Its first bytes, unchecked; empty when it is not there."""
        try:
            with self._path(digest).open("rb") as file:
                return file.read(size)
        except FileNotFoundError:
            return b""

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The data in pieces of at most 256 KiB, unchecked: the receiver checks the digest. P0209 when not there."""
        try:
            file = self._path(digest).open("rb")
        except FileNotFoundError:
            raise PerdureError("P0209", f"blob {digest} is missing") from None
        with file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def exists(self, digest: str) -> bool:
        return self._path(digest).exists()

    def size(self, digest: str) -> int:
        """In bytes; 0 when it is not there."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def keep(self, digest: str) -> bool:
        """Make it young, as if it were stored again; False when it is not there."""
        with self._naming:
            try:
                os.utime(self._path(digest))
            except FileNotFoundError:
                return False
        return True

    def discard(self, digest: str, before_us: int) -> int:
        """Delete it, unless it was stored since; how many bytes that frees."""
        path = self._path(digest)
        with self._naming:
            try:
                found = path.stat()
            except FileNotFoundError:
                return 0
            if found.st_mtime_ns // 1000 >= before_us:
                return 0
            path.unlink()
        return found.st_size

    def stored_before(self, before_us: int) -> Iterator[str]:
        """Digests of blobs that nobody has stored since; drafts that old, which a crash has left, are deleted."""
        for path in self._root.glob("*"):
            if path.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime_ns // 1000 < before_us:
                        path.unlink()
                continue
            for blob in path.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if _DIGEST.fullmatch(blob.name) and blob.stat().st_mtime_ns // 1000 < before_us:
                        yield blob.name

    def _path(self, digest: str) -> Path:
        # Digests come over the network: nothing else may become a path.
        if not _DIGEST.fullmatch(digest):
            raise PerdureError("P0212", f"{digest[:80]!r} is not a sha256")
        return self._root / digest[:2] / digest

    def _adopt(self, draft: Path, path: Path) -> None:
        if not path.parent.exists():
            path.parent.mkdir(exist_ok=True)
            sync_directory(self._root)
        with self._naming:
            if path.exists():
                os.utime(path)
            else:
                draft.rename(path)
        # Also when it was there: whoever named it may have died before this.
        sync_directory(path.parent)


def spill(entry: journal_pb2.Entry, blobs: BlobStore) -> bool:
    """Move large payloads of an entry, in place, to the blob store; whether there was one."""
    large = [payload for payload in _payloads(entry) if len(payload.data) > SPILL_BYTES]
    for payload in large:
        payload.blob = blobs.put(payload.data)
        payload.ClearField("data")
    return bool(large)


def inline(entry: journal_pb2.Entry, blobs: BlobStore) -> bool:
    """Put spilled payloads back into the entry, in place; whether there was one."""
    spilled = [payload for payload in _payloads(entry) if payload.blob]
    for payload in spilled:
        payload.data = blobs.get(payload.blob)
        payload.ClearField("blob")
    return bool(spilled)


def _payloads(entry: journal_pb2.Entry) -> Iterator[journal_pb2.Payload]:
    if entry.HasField("outcome"):
        yield entry.outcome
    if entry.HasField("resolution") and entry.resolution.HasField("payload"):
        yield entry.resolution.payload
