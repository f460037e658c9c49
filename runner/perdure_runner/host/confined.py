"""uv where it may run code of packages: confined like a session. See `perdure_runner/child/building.py`."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from perdure_runner.host import uv
from perdure_runner.host.archive import ArchiveError, ArchiveLimits, extract
from perdure_runner.host.indexes import Indexes

_PROGRAM = str(Path(__file__).resolve().parent.parent / "__main__.py")
_NO_SANDBOX = 125
_OUTSIDE = frozenset(
    {"HOME", "XDG_CACHE_HOME", "UV_CACHE_DIR", "UV_CONFIG_FILE", "NETRC", "TMPDIR", "UV_KEYRING_PROVIDER"}
)
_PASSWORD = re.compile(r"://[^/@\s]+@")
_LIMITS = ArchiveLimits(files=200_000, total_bytes=8 << 30)


class ConfinementError(Exception):
    """Packages cannot be built here. The message says why."""


async def run(
    arguments: Sequence[str], sources: Indexes, folder: Path, result: str, into: Path, limit_s: float, python: str
) -> uv.Finished:
    """Run uv in a folder of its inputs, which others can read, without any other of this machine's to write to.

    If it succeeds, `result`, a file or folder that it made there, is put into the new folder `into`. `python` is the
    interpreter that packages are built by.

    Raises:
        ConfinementError: nothing can hold it here, or it would see a password.
    """
    inside = _inside(sources)
    before = [python, "-P", _PROGRAM, "build", f"--state={folder}", f"--folder={folder}", f"--result={result}"]
    before += [*(f"--show={each}" for each in (uv.executable(), *_places(inside))), "--"]
    archive = folder.with_name(f"{folder.name}.tar")
    try:
        finished = await uv.run(arguments, inside, folder, limit_s, before=before, output=archive)
        if finished.status == _NO_SANDBOX:
            raise ConfinementError(f"packages are built in a sandbox only, and there is none: {finished.said}")
        if finished.status == 0:
            await asyncio.to_thread(_unpack, archive, into)
    finally:
        archive.unlink(missing_ok=True)
    return finished


def _unpack(archive: Path, into: Path) -> None:
    with archive.open("rb") as file:
        try:
            extract(file, into, _LIMITS)
        except ArchiveError as error:
            raise ConfinementError(f"what was built makes no sense: {error}") from None


def _inside(sources: Indexes) -> Indexes:
    """The settings as code of packages may see them."""
    kept = {name: value for name, value in sources.environment.items() if name not in _OUTSIDE}
    if any(_PASSWORD.search(value) for value in kept.values()) or any(name.endswith("_PASSWORD") for name in kept):
        raise ConfinementError("the settings of the index hold a password, which code of packages must not see")
    own = {"HOME": "/tmp", "UV_CACHE_DIR": "/tmp/.uv-cache", "PATH": "/usr/local/bin:/usr/bin:/bin"}  # noqa: S108
    return Indexes(kept | own, sources.no_index)


def _places(sources: Indexes) -> list[str]:
    """Files and folders of this machine that the settings name."""
    texts = " ".join(
        value.replace(",", " ") for name, value in sources.environment.items() if name not in {"PATH", "HOME"}
    )
    named = [word.removeprefix("file://") for word in texts.split()]
    return [word for word in named if word.startswith("/") and Path(word).exists()]
