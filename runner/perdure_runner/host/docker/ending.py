"""The end of containers: they are removed whatever the engine does meanwhile, and those of dead hosts are found."""

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from perdure_runner.host.docker.engine import Engine, EngineError, GoneError, NotThereError

T = TypeVar("T")

OWNER = "perdure.owner"
"""The label that says which process a container belongs to, as `owner` puts it."""
_BACKEND = "perdure.backend"  # the label that tells backends of one process apart
_AGAIN_S = 1.0  # before an engine that does not answer is asked again
_DEAD = ("Z", "X")  # states of processes
_SLOW_S = 0.1  # before an engine that is still at something is asked what came of it
_SWEEP_S = 5.0  # for each answer of an engine that a server asks when it ends
_GONE_S = 5.0  # for an engine that is being started again, before a host that ends gives it up


class Undertaker:
    """Removes the containers of one backend and their folders, also those whose engine does not answer now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone_since: float | None = None  # nobody was at the engine's address, at every question from then on
        self.marks = {OWNER: owner(), _BACKEND: secrets.token_hex(8)}
        """Labels of everything that the backend makes: by these what nobody knows of is found."""

    def remove(self, container: str, folder: Path | None = None) -> asyncio.Task[None]:
        """Kill and remove a container as soon as the engine does it, then its folder. The task ends when it is gone."""
        return self.take(self._remove(container, folder))

    def take(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have this done before `finish` is."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def sweep(self) -> int:
        """Begin to remove the containers of hosts that are dead; says how many. Raises EngineError."""
        orphans = await self._engine.call(_orphans)
        for container in orphans:
            self.remove(container)
        return len(orphans)

    async def finish(self, patience_s: float) -> bool:
        """Wait until no container of this backend is left. What takes longer is left to the sweep of the next host.

        An engine may have made what it was asked for long after nobody waited for its answer any more; so nothing is
        left only when the engine says so, while it is at nothing. One that does not run is not waited for that long.
        """
        self._gone_since = None
        now = asyncio.get_running_loop().time
        deadline = now() + patience_s
        emptying = asyncio.create_task(self._empty())
        try:
            while not emptying.done() and now() < deadline and not self._is_gone(now()):
                await asyncio.wait((emptying,), timeout=_SLOW_S)
        finally:
            given_up = emptying.cancel()
        if not given_up:
            emptying.result()  # None, or what went wrong
            return True
        for task in self._tasks:
            task.cancel()
        return False

    def _is_gone(self, now: float) -> bool:
        return self._gone_since is not None and now - self._gone_since >= _GONE_S

    async def _empty(self) -> None:
        removed: set[str] = set()
        while not await self._nothing_left(removed):  # noqa: ASYNC110 (as in `_remove`)
            await asyncio.sleep(_SLOW_S)

    async def _ask(self, work: Callable[[Any], T]) -> T:
        """Ask the engine, and note whether it is there."""
        gone = False
        try:
            return await self._engine.call(work)
        except GoneError:
            gone = True
            raise
        finally:
            since = self._gone_since or asyncio.get_running_loop().time()
            self._gone_since = since if gone else None

    async def _nothing_left(self, removed: set[str]) -> bool:
        """`removed` are not looked at: an engine may go on to list what it has no more."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        idle = not self._engine.busy
        try:
            found = await self._ask(self._of_backend)
        except EngineError:
            return False
        left = {container: state for container, state in found.items() if container not in removed}
        for container, state in left.items():
            if idle or state == "running":  # else it may just be started, or committed: not a good time to remove it
                removed.add(container)
                self.remove(container)
        return idle and not left

    def _of_backend(self, client: Any) -> dict[str, str]:
        """Ids and states."""
        label = f"{_BACKEND}={self.marks[_BACKEND]}"
        found = client.api.containers(all=True, filters={"label": label})
        return {each["Id"]: each["State"] for each in found}

    async def _remove(self, container: str, folder: Path | None) -> None:
        while not await self._removed(container):  # noqa: ASYNC110 (nobody tells when an engine is back)
            await asyncio.sleep(_AGAIN_S)
        if folder is not None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _removed(self, container: str) -> bool:
        """Whether it is no more. An engine that does not answer, or is at it already, is asked again."""
        try:
            await self._ask(_removal(container))
        except NotThereError:
            return True
        except EngineError:
            return False
        return True


def sweep(url: str) -> int:
    """Remove the containers of hosts that are dead, for who is no host; says how many. Blocks. Raises EngineError."""
    engine = Engine(url, _SWEEP_S)
    try:
        orphans = engine.ask(_orphans)
        for container in orphans:
            with contextlib.suppress(NotThereError):
                engine.ask(_removal(container))
    finally:
        engine.close()
    return len(orphans)


def owner() -> str:
    """Name this process so that its like can tell whether it still lives: boot, process namespace, pid, start."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {_namespace()} {os.getpid()} {_started(os.getpid())}"


def _removal(container: str) -> Callable[[Any], object]:
    return lambda client: client.api.remove_container(container, force=True, v=True)


def _orphans(client: Any) -> list[str]:
    """Give the containers of processes that are dead. Blocks.

    One in another process namespace is given the benefit of the doubt, unless the machine has been started anew.
    """
    ours = client.api.containers(all=True, filters={"label": OWNER})
    return [found["Id"] for found in ours if (label := found["Labels"][OWNER]) and _orphan(label)]


def _orphan(label: str) -> bool:
    boot, namespace, pid, started = label.split(" ")
    here = owner().split(" ")
    return boot != here[0] or (namespace == here[1] and _started(int(pid)) != started)


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def _started(pid: int) -> str:
    """When a process started, in ticks since boot; "" if none of this pid lives: a dead one may never be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *others = text.rpartition(")")[2].split()  # proc(5): the third field and on; the second is in parentheses
    return "" if state in _DEAD else others[18]
