"""Runs uv: in a process group of its own, with a time limit, a clean environment and the operator's indexes."""

import asyncio
import contextlib
import os
import re
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perdure_runner.host.indexes import Indexes

_KEPT_BYTES = 64 << 10  # of what it says
_LIMITS = {resource.RLIMIT_FSIZE: 4 << 30, resource.RLIMIT_CORE: 0}  # a wheel may unpack to anything
_LOOK_S = 0.2  # between looks at how much it has written
_COMMON = ("--no-progress", "--color=never", "--no-python-downloads")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_TROUBLE = re.compile(
    r"error sending request|timed out|Connect\b|Connection (refused|reset)|dns error|[Nn]etwork|HTTP status server"
    r"|No space left"
)


class UvMissingError(Exception):
    """uv is not where its package says."""


class _TooMuchError(Exception):
    """It has written more than it may."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How uv ended: its exit status, None when it ran out of time, and the last of what it said, without passwords."""

    status: int | None
    said: str

    @property
    def may_pass(self) -> bool:
        """Is it trouble that trying again may get past: the network, the disk, time?"""
        return self.status is None or bool(_TROUBLE.search(self.said))


def executable() -> str:
    """The path of uv.

    Raises:
        UvMissingError
    """
    import uv

    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise UvMissingError(f"uv is not installed where its package says: {error}") from None


async def run(
    arguments: Sequence[str],
    indexes: Indexes,
    folder: Path,
    limit_s: float,
    *,
    before: Sequence[str] = (),
    output: Path | None = None,
    most_bytes: int = 0,
) -> Finished:
    """Run `uv arguments` in a folder, which also takes what it says. `before` is a command that runs it, whose
    standard output goes to the file `output`. When it has written more than `most_bytes`, if any, it is ended.

    Raises:
        UvMissingError, OSError: it cannot be started.
    """
    talk = folder / "uv.log"
    with talk.open("wb") as file, (output or Path(os.devnull)).open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *before,
            executable(),
            *arguments,
            *_COMMON,
            *indexes.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out if output else file,
            stderr=file,
            cwd=folder,
            env=dict(indexes.environment),
            start_new_session=True,
        )
    for what, most in _LIMITS.items():
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, what, (most, most))
    try:
        status = await _ended(process, limit_s, most_bytes)
    except _TooMuchError as error:
        return Finished(-signal.SIGKILL, str(error))
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    return Finished(status, without_credentials(_tail(talk)))


async def _ended(process: asyncio.subprocess.Process, limit_s: float, most_bytes: int) -> int | None:
    """Wait for its exit status; None when its time is over. Raises _TooMuchError."""
    loop = asyncio.get_running_loop()
    until = loop.time() + limit_s
    while (left_s := until - loop.time()) > 0:
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(process.wait(), min(left_s, _LOOK_S))
        if most_bytes and (written := _written(process.pid)) > most_bytes:
            raise _TooMuchError(f"uv wrote {written >> 20} MiB, more than {most_bytes >> 20}")
    return None


def _written(pid: int) -> int:
    """How many bytes a process has written, wherever to: uv unpacks wheels in its cache first. 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(": ")
            if name == "wchar":
                return int(value)
    return 0


def without_credentials(text: str) -> str:
    """The text without the user part of addresses."""
    return _CREDENTIALS.sub("***@", text)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _KEPT_BYTES))
        return file.read().decode("utf-8", "replace").strip()
