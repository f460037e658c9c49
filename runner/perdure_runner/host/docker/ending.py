"""The end of containers: they are removed whatever the engine does meanwhile, and those of dead hosts are found."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from perdure_runner.host.docker.engine import Engine, EngineError, NotThereError
from perdure_runner.host.docker.layers import LABEL

OWNER = "perdure.owner"
"""The label that says which process a container belongs to, as `owner` puts it."""
_AGAIN_S = 1.0  # before an engine that does not answer is asked again


class Undertaker:
    """Removes containers and their folders, also those whose engine does not answer now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    def remove(self, container: str, folder: Path) -> None:
        """Kill and remove a container as soon as the engine does it, then its folder."""
        self.take(self._remove(container, folder))

    def take(self, work: Coroutine[Any, Any, None]) -> None:
        """Have this done before `finish` is."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, patience_s: float) -> int:
        """Wait until all is done; what takes longer is left to the sweep of the next host. Says how much that is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.cancel()
        return len(self._tasks)

    async def _remove(self, container: str, folder: Path) -> None:
        while not await self._removed(container):  # noqa: ASYNC110 (nobody tells when an engine is back)
            await asyncio.sleep(_AGAIN_S)
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


def sweep(client: Any) -> int:
    """Remove the containers of hosts that are dead; says how many. Blocks.

    A host in another process namespace is given the benefit of the doubt, unless the machine has been started anew.
    """
    ours = client.api.containers(all=True, filters={"label": OWNER})
    orphans = [found for found in ours if _orphan(found["Labels"][OWNER])]
    orphans += client.api.containers(all=True, filters={"label": f"{LABEL}=building", "status": "exited"})
    return sum(_taken_away(client, found["Id"]) for found in orphans)


def _taken_away(client: Any, container: str) -> bool:
    """Remove a container; False if another host was faster."""
    from docker.errors import APIError  # type: ignore[import-untyped]

    try:
        client.api.remove_container(container, force=True, v=True)
    except APIError:
        return False
    return True


def _orphan(label: str) -> bool:
    boot, namespace, pid, started = label.split(" ")
    here = owner().split(" ")
    return boot != here[0] or (namespace == here[1] and _started(int(pid)) != started)


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def _started(pid: int) -> str:
    """When a process started, in ticks since boot; "" if there is none of this pid."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]  # proc(5): the 22nd field; the second is in parentheses
