"""The tarball of a build. The same folder gives the same bytes, so the same digest."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from perdure_runner.host import archive
from perdure_runner.host.archive import ArchiveLimits

from perdure_server.core.errors import PerdureError
from perdure_server.manifest.exports import is_foreign

IGNORE_FILE: Final = ".perdureignore"
DEFAULT_LIMITS: Final = ArchiveLimits()
_SKIPPED: Final = (
    ".git",
    ".hg",
    ".mypy_cache",
    ".perdure",
    ".perdure-host",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "node_modules",
    "*.pyc",
)


def digest(data: bytes) -> str:
    """The name of a build: the sha256 of its tarball, in hex."""
    return hashlib.sha256(data).hexdigest()


def pack(root: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> bytes:
    """The folder as a gzip tarball, without caches, virtual environments, homes and what .perdureignore lists.

    Raises `PerdureError`: P0110 no such folder, P0122 a link out or a special file, P0124 too large.
    """
    if not root.is_dir():
        raise PerdureError("P0110", f"{root} is not a folder")
    out = io.BytesIO()
    total = 0
    with (
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for count, (path, info) in enumerate(_members(root, _Ignored.of(root)), 1):
            total += info.size
            if count > limits.files or total > limits.total_bytes:
                raise _too_large(root, path, limits)
            if info.isreg():
                data = (root / path).read_bytes()
                info.size = len(data)  # it may have grown since
                tar.addfile(info, io.BytesIO(data))
            else:
                tar.addfile(info)
    return out.getvalue()


def extract(source: bytes | BinaryIO | Iterable[bytes], dest: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> None:
    """Unpack a build into the new folder `dest`. Raises `PerdureError` P0120 to P0124, and then leaves nothing."""
    try:
        archive.extract(source, dest, limits)
    except archive.ArchiveError as error:
        raise PerdureError(error.code, error.message) from None


@dataclass(frozen=True, slots=True)
class _Ignored:
    """Patterns as in .gitignore, without negation: `name`, `*.ext`, `folder/`, `/from/the/root`, `a/b`."""

    patterns: tuple[str, ...]

    @classmethod
    def of(cls, root: Path) -> _Ignored:
        try:
            lines = (root / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        except UnicodeDecodeError:
            raise PerdureError("P0103", "the file is not UTF-8", file=IGNORE_FILE) from None
        patterns = list(_SKIPPED)
        for number, line in enumerate(lines, 1):
            pattern = line.strip()
            if pattern.startswith("!"):
                raise PerdureError(
                    "P0103",
                    "a pattern that takes files back in is not supported",
                    help="list what is to be left out instead",
                    file=IGNORE_FILE,
                    line=number,
                    column=1,
                    source=line,
                )
            if pattern and not pattern.startswith("#"):
                patterns.append(pattern)
        return cls(tuple(patterns))

    def matches(self, path: str, is_folder: bool) -> bool:
        return any(_matches(pattern, path, is_folder) for pattern in self.patterns)


def _matches(pattern: str, path: str, is_folder: bool) -> bool:
    if pattern.endswith("/"):
        pattern = pattern.rstrip("/")
        if not is_folder:
            return False
    if "/" in pattern:
        return fnmatchcase(path, pattern.lstrip("/"))
    return fnmatchcase(path.rpartition("/")[2], pattern)


def _members(root: Path, ignored: _Ignored) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Everything in the folder that is not ignored, in order of its path; folders before their content."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        names = sorted(os.listdir(root / folder))
        below = []
        for name in names:
            path = f"{folder}/{name}" if folder else name
            found = os.lstat(root / path)
            is_folder = stat.S_ISDIR(found.st_mode)
            if ignored.matches(path, is_folder) or (is_folder and is_foreign(root / path)):
                continue
            yield path, _describe(root, path, found)
            if is_folder:
                below.append(path)
        waiting.extend(reversed(below))


def _describe(root: Path, path: str, found: os.stat_result) -> tarfile.TarInfo:
    """The header: owner, time and all but the executable bit of the mode are left out, because they differ."""
    info = tarfile.TarInfo(path)
    info.mode = 0o644
    if stat.S_ISDIR(found.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, _target(root, path)
    elif stat.S_ISREG(found.st_mode):
        info.size = found.st_size
        if found.st_mode & 0o111:
            info.mode = 0o755
    else:
        raise PerdureError("P0122", f"{path} is neither a file nor a folder", help=f"add it to {IGNORE_FILE}")
    return info


def _target(root: Path, path: str) -> str:
    """Where a link leads, relative to its folder."""
    real = Path(os.path.realpath(root / path))
    top = Path(os.path.realpath(root))
    if not real.is_relative_to(top):
        raise PerdureError(
            "P0122", f"{path} is a link out of the folder, to {real}", help=f"copy it, or add it to {IGNORE_FILE}"
        )
    return os.path.relpath(real.relative_to(top), PurePosixPath(path).parent)


def _too_large(root: Path, path: str, limits: ArchiveLimits) -> PerdureError:
    return PerdureError(
        "P0124",
        f"{root} has more than {limits.files} files or {limits.total_bytes} bytes (reached at {path})",
        help=f"list what the code does not need in {IGNORE_FILE}",
    )
