"""What a host makes before a session asks for it: for one deployment after the other, as its coordinator says."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from perdure_proto.v1.runner_pb2 import FromHost, Prepare, Prepared

from perdure_runner.host.backend import BackendError
from perdure_runner.host.builds import BuildError
from perdure_runner.host.installing import InstallError

_MESSAGE_CHARS = 8192


class Ahead:
    """Does one `Prepare` at a time, and says how it ended. One more may wait: that of the newest coordinator."""

    def __init__(self, make: Callable[[Prepare], Coroutine[Any, Any, None]], send: Callable[[FromHost], None]) -> None:
        self._make = make
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self._next: Prepare | None = None
        self._closed = False
        self.environment = ""  # digest of the lock that is in use here; empty: none

    def prepare(self, asked: Prepare) -> None:
        """Do this, as soon as the one before has ended."""
        self._next = asked
        self._go_on()

    def forget(self) -> None:
        """Whoever asked is gone: what has not begun is left."""
        self._next = None

    async def close(self) -> None:
        """Do nothing any more."""
        self.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def stop(self) -> None:
        """Begin nothing any more, and leave what is not finished."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    def _go_on(self) -> None:
        if self._task is not None or self._closed or self._next is None:
            return
        asked, self._next = self._next, None
        self.environment = asked.environment
        self._task = asyncio.create_task(self._make(asked))
        self._task.add_done_callback(lambda task: self._ended(task, asked))

    def _ended(self, task: asyncio.Task[None], asked: Prepare) -> None:
        self._task, self.environment = None, ""
        if task.cancelled():
            return
        prepared = Prepared(deployment_id=asked.deployment_id)
        if (fault := task.exception()) is not None:
            prepared.code, said = told(fault)
            prepared.message = said[:_MESSAGE_CHARS]
        self._send(FromHost(prepared=prepared))
        self._go_on()


def told(fault: BaseException) -> tuple[str, str]:
    """Why something could not be made: our code, for what trying again cannot help, else ""; and a text."""
    known = getattr(fault, "code", "")
    code = known if isinstance(known, str) else ""
    ours = bool(code) or isinstance(fault, BackendError | BuildError | InstallError | OSError)
    return code, str(fault) if ours else f"a fault of the host's own: {fault!r}"
