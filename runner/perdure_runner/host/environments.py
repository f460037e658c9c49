"""The environments that a host has: the installed requirements of projects, made once for each lock and interpreter.

environments/<digest>-<cache tag>/site/   the packages, compiled, read-only
environments/<digest>-<cache tag>.lock    shared by all who use it, and its own who deletes it; its text is the size
environments/<digest>-<cache tag>.making  its own who makes it
environments/tmp-<pid>-*/                 being made; moved into place when complete, so what is there is whole

Several hosts may share the folder. The time of a lock file is when its environment was last asked for; until somebody
has, it is years before it was made.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

from perdure_runner.host import installing
from perdure_runner.host.config import HostConfig
from perdure_runner.host.indexes import Indexes, indexes
from perdure_runner.host.installing import InstallError
from perdure_runner.host.link import Coordinator
from perdure_runner.host.locks import MAX_BYTES, Lock, LockError
from perdure_runner.host.pythons import Interpreter
from perdure_runner.host.trees import clear_away, into_place, read_only, remove
from perdure_runner.host.uv import UvMissingError

_UNUSED_S = 3650 * 86400  # what nobody has asked for yet is so much older than the rest: it goes first
_AT_ONCE = 2  # that are made; more would only wait for the same disk
_DIGEST = re.compile(r"[0-9a-f]{64}")


class EnvironmentStore:
    """The environments under `state_dir`.

    Args:
        config: of the host.
        coordinator: where locks are fetched from.
        in_use: digests of the locks whose environments sessions use now; these stay.
        sources: where packages come from; None: as this machine's operator has set up uv or pip.
    """

    def __init__(
        self,
        config: HostConfig,
        coordinator: Coordinator,
        in_use: Callable[[], Collection[str]],
        sources: Indexes | None = None,
    ) -> None:
        self._config = config
        self._coordinator = coordinator
        self._in_use = in_use
        self._sources = sources
        self._root = config.state_dir / "environments"
        self._held: dict[str, int] = {}  # name -> descriptor of its lock file, locked for sharing
        self._making: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    def prepare(self) -> None:
        """Make the directory, and clear away what hosts that are dead now left unfinished."""
        self._root.mkdir(parents=True, exist_ok=True)
        clear_away(self._root)

    def digests(self) -> list[str]:
        """Digests of the locks whose environments are here, for whichever interpreter."""
        return sorted({path.parent.name.partition("-")[0] for path in self._root.glob("*/site")} - {"tmp"})

    def at_hand(self, digest: str, python: Interpreter) -> Path | None:
        """Give the environment's folder of packages if it was asked for before."""
        name = f"{digest}-{python.cache_tag}"
        if name not in self._held:
            return None
        os.utime(self._held[name])
        return self._root / name / "site"

    async def get(self, digest: str, python: Interpreter, *, ahead: bool = False) -> Path:
        """Give the folder of packages, making it if need be; once, however many ask. `ahead`: before somebody needs it.

        Raises:
            InstallError, BlobNotFoundError, ConnectionError, OSError
        """
        if not _DIGEST.fullmatch(digest):
            raise InstallError(f"{digest!r:.80} is no digest of a lock")
        name = f"{digest}-{python.cache_tag}"
        if name not in self._held:
            task = self._making.get(name)
            if task is None:
                task = self._making[name] = asyncio.create_task(self._hold(name, digest, python))
                task.add_done_callback(lambda _: self._making.pop(name))
            await asyncio.shield(task)  # whoever is cancelled leaves it running for the others
        if not ahead:
            self.at_hand(digest, python)
        return self._root / name / "site"

    async def lock(self, digest: str) -> Lock:
        """Fetch a lock.

        Raises:
            InstallError, BlobNotFoundError, ConnectionError
        """
        data = bytearray()
        async for chunk in self._coordinator.fetch_blob(digest):
            data += chunk
            if len(data) > MAX_BYTES:
                raise InstallError(f"the lock is larger than {MAX_BYTES} bytes")
        if hashlib.sha256(data).hexdigest() != digest:
            raise InstallError(f"lock {digest[:12]} arrived damaged", "")
        try:
            return Lock.parse(bytes(data))
        except LockError as error:
            raise InstallError(str(error)) from None

    def close(self) -> None:
        """Let go of all: other hosts may evict them."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    async def _hold(self, name: str, digest: str, python: Interpreter) -> None:
        """Make it unless it is there, and keep it from being evicted."""
        making = await self._locked(f"{name}.making", fcntl.LOCK_EX)
        try:
            descriptor = await self._locked(f"{name}.lock", fcntl.LOCK_SH)
            try:
                made = not (self._root / name).is_dir()
                if made:
                    async with self._room:
                        size = await self._make(name, await self.lock(digest), python)
                    os.pwrite(descriptor, str(size).encode(), 0)
                    os.utime(descriptor, (time.time() - _UNUSED_S,) * 2)
            except BaseException:
                os.close(descriptor)
                raise
        finally:
            os.close(making)
        self._held[name] = descriptor
        if made:
            await self._evict(digest)

    async def _locked(self, name: str, how: int) -> int:
        """A descriptor of a lock file, locked; closing it lets go. Waits for other hosts, and for their threads."""
        descriptor = os.open(self._root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, descriptor, how)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    async def _make(self, name: str, lock: Lock, python: Interpreter) -> int:
        """Make it and move it into place; its size in bytes."""
        if lock.python != "{}.{}".format(*python.version):
            raise InstallError(f"requirements locked for Python {lock.python} are of no use to {python.path}")
        began = time.monotonic()
        count = f"{len(lock.packages)} package{'s' * (len(lock.packages) != 1)}"
        _say(f"installing {count} for Python {lock.python} ...")
        work = Path(tempfile.mkdtemp(prefix=f"tmp-{os.getpid()}-", dir=self._root))
        try:
            made, notes = work / "made", work / "notes"
            sources = self._sources or indexes()
            patience_s, most_bytes = self._config.patience.install_s, self._config.limits.environment_bytes
            await installing.install(lock, python, sources, made / "site", notes, patience_s, most_bytes)
            size = await asyncio.to_thread(self._finish, made, self._root / name, python)
        except UvMissingError as error:
            raise InstallError(str(error)) from None
        finally:
            await asyncio.to_thread(remove, work)
        _say(f"installed {count}, {size / 1e6:.1f} MB, in {time.monotonic() - began:.1f} s")
        return size

    def _finish(self, made: Path, final: Path, python: Interpreter) -> int:
        site = made / "site"
        size = installing.check(site, self._config.limits.environment_bytes)
        with contextlib.suppress(OSError):
            installing.compile_all(site, final / "site", python, self._config.patience.compile_s)
        read_only(made)
        into_place(made, final)
        final.chmod(0o555)
        return size

    async def _evict(self, keep: str) -> None:
        """Delete what was not asked for for longest, until all is within the limit; nothing that is in use."""
        sizes = {path: _recorded_size(path) for path in self._root.glob("*.lock")}
        excess = sum(sizes.values()) - self._config.limits.environments_bytes
        for path in sorted(sizes, key=lambda path: path.stat().st_mtime):
            if excess <= 0:
                return
            if path.stem.partition("-")[0] not in {*self._in_use(), keep} and await self._delete(path):
                excess -= sizes[path]

    async def _delete(self, lock_file: Path) -> bool:
        """Delete an environment, unless another host uses it. The lock file stays: others may wait for it."""
        name = lock_file.stem
        if (held := self._held.pop(name, None)) is not None:
            os.close(held)
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            await asyncio.to_thread(remove, self._root / name)
            os.ftruncate(descriptor, 0)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True


def _recorded_size(lock_file: Path) -> int:
    text = lock_file.read_text(encoding="ascii")
    return int(text) if text.isdigit() else 0


def _say(line: str) -> None:
    print(f"perdure: {line}", file=sys.stderr, flush=True)
