"""The end of containers: they are removed whatever the engine does meanwhile, and those of dead hosts are found."""

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from perdure_runner.host.docker.engine import Engine, EngineError, NotThereError

OWNER = "perdure.owner"
"""The label that says which process a container belongs to, as `owner` puts it."""
_BACKEND = "perdure.backend"  # the label that tells backends of one process apart
_AGAIN_S = 1.0  # before an engine that does not answer is asked again
_DEAD = ("Z", "X")  # states of processes
_SLOW_S = 0.1  # before an engine that is still at something is asked what came of it


class Undertaker:
    """Removes the containers of one backend and their folders, also those whose engine does not answer now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()
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
        left only when the engine says so, while it is at nothing.
        """
        removed: set[str] = set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while not await self._nothing_left(removed):  # noqa: ASYNC110 (as in `_remove`)
                    await asyncio.sleep(_SLOW_S)
                return True
        for task in self._tasks:
            task.cancel()
        return False

    async def _nothing_left(self, removed: set[str]) -> bool:
        """`removed` are not looked at: an engine may go on to list what it has no more."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        idle = not self._engine.busy
        try:
            found = await self._engine.call(self._of_backend)
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
            await self._engine.call(lambda client: client.api.remove_container(container, force=True, v=True))
        except NotThereError:
            return True
        except EngineError:
            return False
        return True


def owner() -> str:
    """Name this process so that its like can tell whether it still lives: boot, process namespace, pid, start."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {_namespace()} {os.getpid()} {_started(os.getpid())}"


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
