"""Installs a lock's packages into a folder that nobody will write to any more.

Wheels only, unless the lock says otherwise: installing a wheel copies files and runs nothing of it, while a source
distribution is built by code of its own, in a sandbox. uv checks each
file's hash against the lock, and then every file that a wheel lists is checked once more where it lies, since uv's
cache may hold unpacked wheels from long ago. Files are copied, never linked: two environments share none, nor does
the cache with them.
"""

import base64
import contextlib
import csv
import hashlib
import os
import platform
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from perdure_runner.host import confined, uv
from perdure_runner.host.indexes import Indexes
from perdure_runner.host.locks import Lock
from perdure_runner.host.pythons import Interpreter

_UNCHECKED = (".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s", ".pyc")  # as wheels have it


_COPIES, _SPARE_BYTES = 4, 256 << 20  # of what is installed uv writes downloads, its cache, the copies; and some more
_COMPILER = {resource.RLIMIT_AS: 2 << 30, resource.RLIMIT_FSIZE: 64 << 20, resource.RLIMIT_CORE: 0}
"""For each process that compiles: its input is a stranger's."""


class InstallError(Exception):
    """The packages cannot be installed. `code` is perdure's, or empty when trying again may help."""

    def __init__(self, message: str, code: str = "P0304") -> None:
        super().__init__(message)
        self.code = code


async def install(
    lock: Lock,
    python: Interpreter,
    indexes: Indexes,
    site: Path,
    notes: Path,
    limit_s: float,
    most_bytes: int = 0,
) -> None:
    """Install into the new folder `site`; the folder `notes` is for what uv reads and says. `most_bytes`: what
    `check` lets pass, so that a wheel which unpacks to much more does not fill the disk before.

    Raises:
        InstallError, UvMissingError, OSError
    """
    requirements = _written(lock, notes)
    arguments = ["pip", "install", "--require-hashes", "--no-deps", "--link-mode=copy", *_for(python)]
    arguments += [f"--requirement={requirements.name}"]
    if lock.sdists:
        finished = await _confined(arguments, indexes, site, notes, limit_s, python)
    else:
        arguments += ["--only-binary=:all:", f"--target={site}"]
        written = _COPIES * most_bytes + _SPARE_BYTES if most_bytes else 0
        finished = await uv.run(arguments, indexes, notes, limit_s, most_bytes=written)
    if finished.status == 0:
        return
    said = finished.said or "it said nothing"
    why = f"uv needed more than {limit_s:.0f} s" if finished.status is None else said
    raise InstallError(f"the requirements cannot be installed: {why}", "" if finished.may_pass else "P0304")


def _written(lock: Lock, notes: Path) -> Path:
    """The file that uv reads. What may be confined reads it as another user."""
    notes.mkdir()
    notes.chmod(0o755)
    requirements = notes / "requirements.txt"
    requirements.write_text(lock.requirements(), encoding="utf-8")
    requirements.chmod(0o644)
    return requirements


async def _confined(
    arguments: Sequence[str], indexes: Indexes, site: Path, notes: Path, limit_s: float, python: Interpreter
) -> uv.Finished:
    """Source distributions run code of theirs: somewhere else than here."""
    arguments = [*arguments, f"--target={site.name}"]
    path = sys.executable if python.foreign else python.path
    try:
        return await confined.run(arguments, indexes, notes, site.name, site.parent, limit_s, path)
    except confined.ConfinementError as error:
        raise InstallError(str(error), "P0305") from None


def check(site: Path, most_bytes: int) -> int:
    """Check what was installed, and take away what would run by itself; the size of it all in bytes.

    Raises:
        InstallError: files differ from what their package lists, lead elsewhere, or are too many.
    """
    _take_away(site)
    size = sum(_size(path) for path in _files(site))
    if size > most_bytes:
        raise InstallError(f"the requirements take {size >> 20} MiB, more than {most_bytes >> 20}")
    for record in sorted(site.glob("*.dist-info/RECORD")):
        try:
            with record.open(encoding="utf-8", newline="") as file:
                for path, digest, *_ in csv.reader(file):
                    _check_file(site, path, digest)
        except (csv.Error, ValueError) as error:
            raise InstallError(f"{record.parent.name} has a list of files that cannot be read: {error}") from None
    return size


def compile_all(site: Path, final: Path, python: Interpreter, limit_s: float) -> None:
    """Compile what can be compiled. That a file cannot is no error: nobody may ever import it."""
    if python.foreign:
        return  # done where it is
    arguments = ["-q", "-j0", "--invalidation-mode=unchecked-hash", f"-s{site}", f"-p{final}", str(site)]
    process = subprocess.Popen(
        [python.path, "-I", "-S", "-m", "compileall", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"},
        cwd=site,
        start_new_session=True,
    )
    with contextlib.suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        for what, most in _COMPILER.items():  # from outside: nothing of ours may run between its fork and its exec
            resource.prlimit(process.pid, what, (most, most))
        process.wait(limit_s)
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)  # it has workers
        process.wait()


def _for(python: Interpreter) -> Sequence[str]:
    """Say which interpreter packages are for. One that is not here is described: any will do to install for it."""
    if not python.foreign:
        return (f"--python={python.path}",)
    version, libc = "{}.{}.{}".format(*python.version), f"{platform.machine()}-manylinux_2_28"
    return (f"--python={sys.executable}", f"--python-version={version}", f"--python-platform={libc}")


def _take_away(site: Path) -> None:
    """Path files run code when an interpreter starts; the other one is uv's."""
    for path in [*site.glob("*.pth"), site / ".lock"]:
        path.unlink(missing_ok=True)


def _files(site: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(site):
        yield from (Path(folder, name) for name in names)


def _size(path: Path) -> int:
    found = path.lstat()
    if path.is_symlink() or found.st_nlink > 1:
        raise InstallError(f"{path.name} is a link")
    return found.st_size


def _check_file(site: Path, name: str, digest: str) -> None:
    if name.endswith(".pth") and "/" not in name:
        return  # taken away
    if os.path.isabs(name) or ".." in name.split("/"):
        raise InstallError(f"a package has the file {name!r:.200}, outside of its folder")
    kind, _, expected = digest.partition("=")
    if not digest and name.endswith(_UNCHECKED):
        return
    if kind not in {"sha256", "sha384", "sha512"}:
        raise InstallError(f"a package lists {name!r:.200} without a hash")
    try:
        with (site / name).open("rb") as file:
            found = hashlib.file_digest(file, kind).digest()
    except OSError as error:
        raise InstallError(f"a package lists {name!r:.200}, which is not there: {error.strerror}") from None
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != expected:
        raise InstallError(f"{name!r:.200} is not the file that its package lists: the cache of uv may be damaged")
