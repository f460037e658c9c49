"""Reading a tar archive, plain or gzip, as a stream: bounded memory, and every kind of damage is an error.

`tarfile` parses the header blocks. The loop around it is ours, because its own takes a damaged header for the end of
the archive, reads extended headers of any size into memory, and differs from version to version.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

_CHUNK: Final = 256 * 1024
_BLOCK: Final = tarfile.BLOCKSIZE
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31  # zlib: a gzip header, the largest window
# An extended header holds a path or two.
_EXTENDED_BYTES: Final = 64 * 1024
# The only keys of extended headers that count; an archive may hold any number of others.
_KEYS: Final = frozenset({"path", "linkpath", "size"})
_SPARSE: Final = "GNU.sparse"
# Ratios are judged only above this size: a file of zeros is no bomb.
_RATIO_FROM_BYTES: Final = 16 * 1024 * 1024


class ArchiveError(Exception):
    """The archive is refused. `code` is one of P0120 to P0124; `member` is the path at fault, or empty."""

    def __init__(self, code: str, message: str, member: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.member = member


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much a build may be. Sizes are in bytes, unpacked."""

    files: int = 20_000  # members of every kind
    total_bytes: int = 512 * 1024 * 1024
    ratio: int = 200  # unpacked to packed
    path_bytes: int = 1024


@dataclass(frozen=True, slots=True)
class Member:
    """One member; `kind` is the type of `tarfile` (REGTYPE, DIRTYPE, SYMTYPE, ...), old spellings made one."""

    name: str
    kind: bytes
    mode: int
    size: int
    target: str  # of a link


def chunks_of(source: bytes | BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    """The source in pieces, none empty."""
    if isinstance(source, bytes):
        pieces: Iterable[bytes] = (source,)
    elif hasattr(source, "read"):
        pieces = iter(lambda: source.read(_CHUNK), b"")
    else:
        pieces = source
    return (piece for piece in pieces if piece)


class TarStream:
    """Iterate over `members()`; the content of the last one is read with `content()`, or skipped."""

    def __init__(self, chunks: Iterator[bytes], limits: ArchiveLimits) -> None:
        self._unpacked = _unpack(chunks, limits)
        self._buffer = bytearray()
        self._body = 0  # bytes of the last member's content not yet read
        self._padding = 0  # bytes that follow it

    def members(self) -> Iterator[Member]:
        """Raises `ArchiveError` P0120 for whatever is no tarball, P0124 for what is too large."""
        extended: dict[str, str] = {}
        while True:
            self._skip()
            block = self._exactly(_BLOCK)
            if not any(block):
                for _ in self._unpacked:
                    pass  # what follows counts, and damage in it is damage
                return
            header = _header(block)
            match header.type:
                case tarfile.XHDTYPE | tarfile.SOLARIS_XHDTYPE:
                    extended |= _pax(self._extended(header.size))
                case tarfile.XGLTYPE:
                    self._extended(header.size)
                case tarfile.GNUTYPE_LONGNAME:
                    extended["path"] = _text(self._extended(header.size).rstrip(b"\0"))
                case tarfile.GNUTYPE_LONGLINK:
                    extended["linkpath"] = _text(self._extended(header.size).rstrip(b"\0"))
                case _:
                    yield self._member(header, extended)
                    extended = {}

    def content(self) -> Iterator[bytes]:
        """The last member's content in pieces."""
        while self._body:
            piece = self._some(min(self._body, _CHUNK))
            self._body -= len(piece)
            yield piece

    def _member(self, header: tarfile.TarInfo, extended: dict[str, str]) -> Member:
        kind = tarfile.REGTYPE if header.type in {tarfile.AREGTYPE, tarfile.CONTTYPE} else header.type
        if _SPARSE in extended:
            kind = tarfile.GNUTYPE_SPARSE
        size = header.size
        if "size" in extended:
            size = _number(extended["size"])
        name = extended.get("path", header.name)
        target = extended.get("linkpath", header.linkname)
        self._begin(size if kind == tarfile.REGTYPE else 0)
        return Member(name, kind, header.mode, size, target)

    def _extended(self, size: int) -> bytes:
        if size > _EXTENDED_BYTES:
            raise ArchiveError("P0124", f"a member has {size} bytes of headers")
        self._begin(size)
        return b"".join(self.content())

    def _begin(self, size: int) -> None:
        if size < 0:
            raise ArchiveError("P0120", "a member's size is negative")
        self._body, self._padding = size, -size % _BLOCK

    def _skip(self) -> None:
        for _ in self.content():
            pass
        self._exactly(self._padding)
        self._padding = 0

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            pieces.append(self._some(size))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def _some(self, size: int) -> bytes:
        """At least one byte, at most `size`."""
        if not self._buffer:
            piece = next(self._unpacked, None)
            if piece is None:
                raise ArchiveError("P0120", "the build is cut short")
            self._buffer += piece
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


def _unpack(chunks: Iterator[bytes], limits: ArchiveLimits) -> Iterator[bytes]:
    """The tar bytes in pieces of at most 256 KiB, counted while they come."""
    first = b""
    while len(first) < len(_GZIP_MAGIC) and (piece := next(chunks, b"")):
        first += piece
    packed = unpacked = 0
    gzip = zlib.decompressobj(_GZIP_WINDOW) if first.startswith(_GZIP_MAGIC) else None
    pending = first
    while pending or (pending := next(chunks, b"")):
        if gzip is None:
            data, rest = pending[:_CHUNK], pending[_CHUNK:]
        elif gzip.eof:
            raise ArchiveError("P0120", "something follows the build's end")
        else:
            data = _inflate(gzip, pending)
            rest = gzip.unconsumed_tail or gzip.unused_data
        packed += len(pending) - len(rest)
        unpacked += len(data)
        pending = rest
        if unpacked > limits.total_bytes:
            raise ArchiveError("P0124", f"the build is larger than {limits.total_bytes} bytes")
        if gzip and unpacked > _RATIO_FROM_BYTES and unpacked > limits.ratio * packed:
            raise ArchiveError("P0124", f"the build unpacks to more than {limits.ratio} times its size")
        if data:
            yield data
    if gzip and not gzip.eof:
        raise ArchiveError("P0120", "the build is cut short")


def _inflate(gzip: zlib._Decompress, data: bytes) -> bytes:
    try:
        return gzip.decompress(data, _CHUNK)
    except zlib.error as error:
        raise ArchiveError("P0120", f"the build is damaged: {error}") from None


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        raise ArchiveError("P0120", f"the build is no tarball, or damaged: {error}") from None


def _pax(data: bytes) -> dict[str, str]:
    """Extended headers, those that count: lines of `LENGTH KEY=VALUE`, the length in decimal, of the whole line."""
    found = {}
    while data:
        length, space, _ = data[:20].partition(b" ")
        size = _number(_text(length))
        key, equals, value = data[len(length) + 1 : size].partition(b"=")
        if not space or not equals or size > len(data) or not value.endswith(b"\n"):
            raise ArchiveError("P0120", "a member's extended header is damaged")
        name = _text(key)
        if name in _KEYS:
            found[name] = _text(value[:-1])
        elif name.startswith(_SPARSE):
            found[_SPARSE] = ""
        data = data[size:]
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ArchiveError("P0120", f"{text[:40]!r} is not a number")
    return int(text)
