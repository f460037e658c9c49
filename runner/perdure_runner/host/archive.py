"""Extracting the tarball of a build. Its content is hostile until it has passed here."""

from __future__ import annotations

import os
import shutil
import tarfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from perdure_runner.host.tarstream import ArchiveError, ArchiveLimits, Member, TarStream, chunks_of

__all__ = ["ArchiveError", "ArchiveLimits", "extract"]

_NAME_BYTES: Final = 255
# Folders in folders. What walks or removes a build calls itself for each of them.
_DEPTH: Final = 64
# Set after mkdir, because the umask must not decide what a sandboxed runner can read.
_FOLDER_MODE: Final = 0o755
_DEFAULT: Final = ArchiveLimits()
_REFUSED: Final = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


def extract(source: bytes | BinaryIO | Iterable[bytes], dest: Path, limits: ArchiveLimits = _DEFAULT) -> None:
    """Unpack a tar archive, plain or gzip, into the new folder `dest`.

    Files get mode 0644, or 0755 when they are executable; folders 0755. Raises `ArchiveError`, and then `dest` is gone;
    `FileExistsError` when it is there already.
    """
    dest.mkdir(parents=True)
    try:
        _Extraction(dest, limits).run(TarStream(chunks_of(source), limits))
    except BaseException:
        shutil.rmtree(dest)
        raise


class _Extraction:
    """One archive on its way to one folder."""

    def __init__(self, dest: Path, limits: ArchiveLimits) -> None:
        self._dest = dest
        self._limits = limits
        self._spellings: dict[str, str] = {}  # folded path -> path, of everything there is
        self._folders = {"."}
        self._links: dict[str, str] = {}

    def run(self, archive: TarStream) -> None:
        os.chmod(self._dest, _FOLDER_MODE)
        for count, member in enumerate(archive.members(), 1):
            if count > self._limits.files:
                raise _too_many(self._limits)
            self._take(member, archive)
        # Links are made last, so nothing is ever written through one.
        for path, target in self._links.items():
            os.symlink(target, self._dest / path)
        self._check_links()

    def _take(self, member: Member, archive: TarStream) -> None:
        path = self._checked(member.name)
        match member.kind:
            case tarfile.DIRTYPE:
                self._make_folder(path)
            case tarfile.REGTYPE:
                self._claim(path)
                self._write(path, archive.content(), 0o755 if member.mode & 0o111 else 0o644)
            case tarfile.SYMTYPE:
                self._claim(path)
                self._links[path] = _checked_target(path, member.target)
            case kind:
                raise ArchiveError("P0122", f"{path} is {_REFUSED.get(kind, 'of an unknown kind')}", path)

    def _checked(self, name: str) -> str:
        """The member's path, normalised. Every part of it is an ordinary name."""
        path = PurePosixPath(name)
        shown = repr(name[:200])
        if path.is_absolute() or ".." in path.parts:
            raise ArchiveError("P0121", f"{shown} leads out of the build", name)
        try:
            too_long = len(name.encode()) > self._limits.path_bytes
            too_long |= len(path.parts) > _DEPTH or any(len(part.encode()) > _NAME_BYTES for part in path.parts)
        except UnicodeEncodeError:
            raise ArchiveError("P0121", f"{shown} is not UTF-8") from None
        if too_long:
            raise ArchiveError("P0121", f"{shown}... is too long or too deep", name[:200])
        if not name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
            raise ArchiveError("P0121", f"{shown} has characters that no path may have", name)
        return str(path)

    def _claim(self, path: str) -> None:
        """Make sure that the path is new, and make the folders above it."""
        if path in self._folders or self._spellings.get(_folded(path)) == path:
            raise ArchiveError("P0123", f"{path} is in the archive twice", path)
        self._spell(path)
        self._make_folder(str(PurePosixPath(path).parent))

    def _make_folder(self, path: str) -> None:
        if path in self._folders:
            return
        self._claim(path)
        self._folders.add(path)
        os.mkdir(self._dest / path)
        os.chmod(self._dest / path, _FOLDER_MODE)

    def _spell(self, path: str) -> None:
        # Folders count, too, that no member names.
        if len(self._spellings) >= self._limits.files:
            raise _too_many(self._limits)
        earlier = self._spellings.setdefault(_folded(path), path)
        if earlier != path:
            raise ArchiveError("P0123", f"{path} and {earlier} are one file where case does not count", path)

    def _write(self, path: str, content: Iterable[bytes], mode: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(self._dest / path, flags, mode), "wb") as file:
            file.writelines(content)
            os.fchmod(file.fileno(), mode)

    def _check_links(self) -> None:
        """A link through a link can lead out although each by itself does not."""
        root = os.path.realpath(self._dest)
        for path, target in self._links.items():
            real = os.path.realpath(self._dest / path)
            if real != root and not real.startswith(root + os.sep):
                raise _leads_out(path, target)


def _checked_target(path: str, target: str) -> str:
    """The target of a link at `path`, when it stays inside the build, read as it is written."""
    depth = len(PurePosixPath(path).parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            raise _leads_out(path, target)
    if not target or "\0" in target or PurePosixPath(target).is_absolute():
        raise _leads_out(path, target)
    return target


def _too_many(limits: ArchiveLimits) -> ArchiveError:
    return ArchiveError("P0124", f"the build has more than {limits.files} files and folders")


def _leads_out(path: str, target: str) -> ArchiveError:
    return ArchiveError("P0122", f"{path} is a link out of the build, to {target[:200]!r}", path)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
