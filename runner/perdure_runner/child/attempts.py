"""What surrounds one attempt of an activity: its time-out, its delay, its place in the source."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
import types
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import perdure

real_sleep = time.sleep
"""`time.sleep` as it was before the session's clock took its place."""
_random = random.SystemRandom()


def jitter() -> float:
    """A random number, 0 <= r < 1, for the jitter of a retry's delay (the delay itself is journaled)."""
    return _random.random()


@contextmanager
def alarm(timeout_s: float | None, name: str) -> Iterator[None]:
    """Raise `perdure.ActivityTimeout` in this (the main) thread when the body takes longer than `timeout_s` seconds.

    The interval timer interrupts blocking system calls; C code that never returns to the interpreter is not
    interrupted (the host's limits end such a runner).
    """
    if not timeout_s:
        yield
        return

    def expired(_number: int, _frame: types.FrameType | None) -> None:
        raise _timeout(name, timeout_s)

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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


def user_frame(is_user_file: Callable[[str], bool]) -> types.FrameType | None:
    """The innermost frame of user code above the caller; None where there is none."""
    frame: types.FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.currentframe() is this, with a check
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back
    return frame
