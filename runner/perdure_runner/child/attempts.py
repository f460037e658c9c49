"""What surrounds one attempt of an activity: its time-out, its delay, its place in the source."""

from __future__ import annotations

import asyncio
import ctypes
import random
import signal
import sys
import threading
import time
import types
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

import perdure

from perdure_runner.child.reading import Guard

_getframe = sys._getframe  # noqa: SLF001 - kept: programs put others in its place

real_sleep = time.sleep
"""`time.sleep` as it was before the session's clock took its place."""
_random = random.SystemRandom()
_Timer = threading.Timer
_start = threading.Thread.start  # before those of user code become strands
_allocate_lock = threading.Lock


def jitter() -> float:
    """A random number, 0 <= r < 1, for the jitter of a retry's delay (the delay itself is journaled)."""
    return _random.random()


def alarm(timeout_s: float | None, name: str, guard: Guard) -> AbstractContextManager[None]:
    """Raise `perdure.ActivityTimeout` in this thread when the body takes longer than `timeout_s` seconds.

    In the main thread, the interval timer interrupts blocking system calls; in others, what blocks in C is not
    interrupted. Everywhere, C code that never returns to the interpreter is not
    interrupted (the host's limits end such a runner).
    """
    if not timeout_s:
        return _NO_ALARM
    if threading.current_thread() is not threading.main_thread():
        return _watched(timeout_s, name)
    return _interrupted(timeout_s, name, guard)


_NO_ALARM: Final = nullcontext()


@contextmanager
def _interrupted(timeout_s: float, name: str, guard: Guard) -> Iterator[None]:
    def expired(_number: int = 0, _frame: types.FrameType | None = None) -> None:
        if not guard.postpone(expired):
            raise _timeout(name, timeout_s)

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Expired(BaseException):
    """Thrown into a thread whose time is over."""


@contextmanager
def _watched(timeout_s: float, name: str) -> Iterator[None]:
    thread, guard, over = threading.get_ident(), _allocate_lock(), False

    def expire() -> None:
        with guard:
            if not over:
                _throw(thread, _Expired)

    watch = _Timer(timeout_s, expire)
    watch.daemon = True
    _start(watch)
    try:
        try:
            yield
        finally:
            with guard:
                over = True
            _throw(thread, None)  # one that is on its way still
            watch.cancel()
    except _Expired:
        raise _timeout(name, timeout_s) from None


def _throw(thread: int, error: type[BaseException] | None) -> None:
    what = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)


async def deadline(work: Awaitable[Any], timeout_s: float | None, name: str) -> Any:
    """Await `work`; `perdure.ActivityTimeout` when it takes longer than `timeout_s` seconds."""
    if not timeout_s:
        return await work
    try:
        async with asyncio.timeout(timeout_s) as scope:
            return await work
    except TimeoutError as error:
        if scope.expired():
            raise _timeout(name, timeout_s) from error
        raise


def _timeout(name: str, timeout_s: float) -> perdure.ActivityTimeout:
    return perdure.ActivityTimeout(f"{name} took longer than {timeout_s:g} s")


def user_frame(is_user_file: Callable[[str], bool], frame: types.FrameType | None = None) -> types.FrameType | None:
    """The innermost frame of user code, from `frame` on outwards, or from the caller's; None where there is none."""
    frame = frame or _getframe(1)  # inspect.currentframe() is this, with a check
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back
    return frame
