"""A session of nothing, which a zygote runs before it forks any.

What a session does for the first time in a process costs it time and pages of its own: code is specialised, caches are
filled, methods are looked up, modules are imported late. All that is done here, in pages that all sessions share.

Whatever a session puts into the process for good is undone: each name of each module is bound to what it was, lists are
as they were, and so are the classes that get methods of ours.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import contextvars
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from perdure_runner import frames
from perdure_runner.child.lanes.locks import LaneLock

Main = Callable[[socket.socket], int]

_FOLDER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rehearsed")
_MODULE: Final = "perdure_rehearsed"
_GIVEN_METHODS: Final = (threading.Thread, logging.StreamHandler, concurrent.futures.Future, LaneLock)
_START: Final = {
    "t": "start",
    "session": "",
    "key": "00" * 32,
    "code": _FOLDER,
    "entry": f"{_MODULE}.py:handler",
    "event": '{"texts": ["one", "two"]}',
    "created_at": "2000-01-01T00:00:00Z",
    "limits": {},
}
_HISTORY: Final = {"t": "hist", "e": [], "last": 1}
_ALL: Final = 1 << 30
"""More records than there are: all is acknowledged before it is sent."""


def rehearse(main: Main) -> int:
    """Run it, in this process, which must have one thread. Returns what `main` does: 0, or there is a fault of ours."""
    near, far = socket.socketpair()
    with near, far, _as_it_was():
        for frame in (_START, _HISTORY, {"t": "ack", "no": _ALL}):
            far.sendall(frames.encode(frame))
        return contextvars.copy_context().run(main, near)


def begin(main: Main, cache: str, waits: Callable[[], object]) -> None:
    """Run it up to where it waits for its journal, just before its first activity, and call `waits` there.

    For a fork that is to end then. cache: where its compiled code is, or will be.
    """
    near, far = socket.socketpair()
    far.sendall(frames.encode(_START | {"cache": cache}) + frames.encode(_HISTORY))
    main(_Expectant(near, waits))


class _Expectant(socket.socket):
    """Calls `waits` when nothing has come that could be received."""

    def __init__(self, near: socket.socket, waits: Callable[[], object]) -> None:
        super().__init__(fileno=near.detach())
        self._waits = waits

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if not select.select([self], [], [], 0)[0]:
            self._waits()
        return super().recv(size, flags)


@contextmanager
def _as_it_was() -> Iterator[None]:
    with ExitStack() as undo:
        undo.callback(sys.path_importer_cache.pop, _FOLDER, None)
        undo.callback(sys.modules.pop, _MODULE, None)
        undo.callback(_restore_signals, {number: signal.getsignal(number) for number in signal.valid_signals()})
        undo.callback(gc.enable if gc.isenabled() else gc.disable)
        undo.callback(gc.set_threshold, *gc.get_threshold())
        undo.callback(_restore_environment, dict(os.environ))
        folder = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        undo.callback(os.close, folder)
        undo.callback(os.fchdir, folder)
        for cls in _GIVEN_METHODS:
            undo.callback(_restore_class, cls, dict(vars(cls)))
        for module in [*sys.modules.values()]:
            if isinstance(module, types.ModuleType):
                undo.callback(_restore_module, module, dict(vars(module)))
                for value in vars(module).values():
                    if type(value) is list:
                        undo.callback(value.__setitem__, slice(None), value.copy())
        # what cannot be undone
        os.register_at_fork = atexit._run_exitfuncs = _nothing  # noqa: SLF001
        yield


def _nothing(*_: object, **__: object) -> None:
    """In the place of what is not to happen in a zygote."""


def _restore_module(module: types.ModuleType, before: dict[str, Any]) -> None:
    space = vars(module)
    for name in space.keys() - before.keys():
        if not isinstance(space[name], types.ModuleType):  # a module in it that was imported late: it stays
            del space[name]
    for name, value in before.items():
        if space.get(name) is not value:
            space[name] = value


def _restore_class(cls: type, before: dict[str, Any]) -> None:
    for name in vars(cls).keys() - before.keys():
        delattr(cls, name)
    for name, value in before.items():
        if vars(cls)[name] is not value:
            setattr(cls, name, value)


def _restore_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _restore_signals(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
