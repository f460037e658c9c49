"""The builds that a host has: fetched once, extracted, compiled, read-only.

builds/<digest>/code/               the tarball's content
builds/<digest>/cache/<cache tag>/  compiled code of one interpreter version
builds/tmp-<pid>-*/                 being made; moved into place when complete, so what is there is whole
"""

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from perdure_runner.host.archive import extract
from perdure_runner.host.backend import Compiling
from perdure_runner.host.config import HostConfig
from perdure_runner.host.link import Coordinator
from perdure_runner.host.pythons import Interpreter
from perdure_runner.host.trees import clear_away, into_place, read_only, remove

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BuildError(Exception):
    """A build cannot be had. `code` is perdure's, or empty when trying again may help."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Builds:
    """The builds under `state_dir`."""

    def __init__(self, config: HostConfig, coordinator: Coordinator, backend: Compiling, limits: Any) -> None:
        self._config = config
        self._backend = backend
        self._coordinator = coordinator
        self._limits = limits
        self._root = config.state_dir / "builds"
        self._making: dict[str, asyncio.Task[None]] = {}

    def prepare(self) -> None:
        """Make the directory, and clear away what hosts that are dead now left unfinished."""
        self._root.mkdir(parents=True, exist_ok=True)
        clear_away(self._root)

    def at_hand(self, digest: str, python: Interpreter) -> tuple[Path, Path] | None:
        """Give the folders of code and cache if they are there already."""
        cache = self._root / digest / "cache" / python.cache_tag
        return (self._root / digest / "code", cache) if _DIGEST.fullmatch(digest) and cache.is_dir() else None

    async def get(self, digest: str, python: Interpreter) -> tuple[Path, Path]:
        """Give the folders of code and cache, making them if need be; once, however many ask.

        Raises:
            BuildError, ArchiveError, BlobNotFoundError, ConnectionError, OSError
        """
        if not _DIGEST.fullmatch(digest):
            raise BuildError(f"{digest!r:.80} is no digest of a build", "P0212")
        build = self._root / digest
        if not build.is_dir():
            await self._once(digest, lambda: self._fetch(digest, build))
        cache = build / "cache" / python.cache_tag
        if not cache.is_dir():
            await self._once(str(cache), lambda: self._compile(build / "code", cache, python))
        return build / "code", cache

    async def _once(self, key: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `make` unless it runs already; whoever is cancelled leaves it running for the others."""
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._making.pop(key))
        await asyncio.shield(task)

    async def _fetch(self, digest: str, build: Path) -> None:
        with self._workspace() as work:
            tarball = work / "build.tar"
            await self._download(digest, tarball)
            with tarball.open("rb") as data:
                await asyncio.to_thread(extract, data, work / "build" / "code", self._limits)
            (work / "build" / "cache").mkdir()
            await asyncio.to_thread(read_only, work / "build" / "code")
            into_place(work / "build", build)

    async def _download(self, digest: str, path: Path) -> None:
        hashed, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            async for chunk in self._coordinator.fetch_blob(digest):
                size += len(chunk)
                if size > self._config.limits.build_bytes:
                    raise BuildError(f"the build is larger than {self._config.limits.build_bytes} bytes", "P0124")
                hashed.update(chunk)
                file.write(chunk)
        if hashed.hexdigest() != digest:
            raise BuildError(f"build {digest[:12]} arrived damaged")

    async def _compile(self, code: Path, cache: Path, python: Interpreter) -> None:
        """Fill the cache. That it fails is no error: the runner says what is wrong with the code."""
        with self._workspace() as work:
            made = work / "cache"
            made.mkdir()
            await self._backend.compile(python, code, made)
            await asyncio.to_thread(read_only, made)
            into_place(made, cache)

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[Path]:
        work = Path(tempfile.mkdtemp(prefix=f"tmp-{os.getpid()}-", dir=self._root))
        try:
            yield work
        finally:
            remove(work)
