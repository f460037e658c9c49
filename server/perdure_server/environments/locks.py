"""The locks of a home: blobs, found again by what was asked for.

HOME/locks/<sha256 of the request>    the digest of its lock; it stays what it is until somebody asks for an upgrade
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from perdure_runner.host.indexes import Indexes
from perdure_runner.host.locks import Lock

from perdure_server.core.errors import PerdureError
from perdure_server.environments.reading import Wanted
from perdure_server.environments.resolving import resolve
from perdure_server.store.blobs import BlobStore

_AT_ONCE: Final = 4  # processes of uv
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Locked:
    """`digest` names the blob of the lock; `reused`: nothing was resolved for it. `took_ms` is wall time."""

    digest: str
    python: str
    packages: int
    reused: bool
    took_ms: float


class Locks:
    """Locks requirements, the same ones once. `sources` is for tests; None: as the operator set up uv or pip."""

    def __init__(
        self, blobs: BlobStore, folder: Path, sources: Indexes | None = None, *, build_sdists: bool = True
    ) -> None:
        """`build_sdists`: projects may have packages built."""
        self._build_sdists = build_sdists
        self._blobs = blobs
        self._folder = folder
        self._sources = sources
        self._resolving: dict[str, asyncio.Task[str]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def lock(self, wanted: Wanted, *, upgrade: bool = False) -> Locked:
        """The lock for these requirements; `upgrade`: resolve them though they were before.

        Raises `PerdureError`: P0303, P0305 as `resolve` does or because nothing is built here, P0211 disk full.
        """
        if wanted.theirs:
            wanted = replace(wanted, sdists=self._build_sdists)
        if wanted.sdists and not self._build_sdists:
            raise PerdureError(
                "P0305",
                "the project allows source distributions, but this server builds none",
                help="take out `allow_sdists`, or ask the server's operator for `perdure serve --build-sdists`",
            )
        began = time.perf_counter()
        key = _key(wanted)
        digest = "" if upgrade else await asyncio.to_thread(self._known, key)
        reused = bool(digest)
        if not digest:
            task = self._resolving.get(key)
            if task is None:
                task = self._resolving[key] = asyncio.create_task(self._resolve(key, wanted))
                task.add_done_callback(lambda _: self._resolving.pop(key))
            digest = await asyncio.shield(task)
        lock = Lock.parse(await asyncio.to_thread(self._blobs.get, digest))
        took_ms = (time.perf_counter() - began) * 1e3
        return Locked(digest, lock.python, len(lock.packages), reused, took_ms)

    def _known(self, key: str) -> str:
        try:
            digest = (self._folder / key).read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""
        return digest if _DIGEST.fullmatch(digest) and self._blobs.keep(digest) else ""

    async def _resolve(self, key: str, wanted: Wanted) -> str:
        async with self._room:
            lock = await resolve(wanted, self._sources)
        return await asyncio.to_thread(self._keep, key, lock)

    def _keep(self, key: str, lock: Lock) -> str:
        digest = self._blobs.put(lock.encode())
        draft = self._folder / f".{os.getpid()}.{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(digest, encoding="ascii")
            draft.rename(self._folder / key)
        except OSError as error:
            raise PerdureError("P0211", f"a lock cannot be written ({error.strerror})") from error
        return digest


def _key(wanted: Wanted) -> str:
    """Names a request. The same text for the same interpreter on the same kind of machine is the same request."""
    machine = os.uname()
    content = wanted.to_json() | {"machine": [machine.sysname, machine.machine], "format": 1}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
