"""Deterministic ground: clocks, random numbers and identifiers become markers at their source.

Call sites see only the calls that user code makes itself. A dataclass's default factory, a template, an
`enum.auto` hook call `uuid.uuid4` or `time.time` from library code; so the functions themselves are replaced, in the
session's own process, by ones that ask the recorder. Inside an activity they are what they always were.
"""

from __future__ import annotations

import asyncio
import concurrent.futures._base
import concurrent.futures.thread
import functools
import logging
import logging.handlers
import os
import random
import secrets
import time
import types
import uuid
from collections.abc import Callable, MutableSequence
from typing import Any

from perdure_runner.child import attempts
from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.recorder import Recorder

_CLOCKS = (
    *("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime"),
    *("time_ns", "monotonic_ns", "perf_counter_ns", "process_time_ns", "thread_time_ns", "clock_gettime_ns"),
)
_NOW_UNLESS_GIVEN = {"localtime": 0, "gmtime": 0, "ctime": 0, "asctime": 0, "strftime": 1}
"""Functions of `time` that mean "now" without the argument of this position."""
_RANDOM = (
    *(
        "random",
        "uniform",
        "triangular",
        "randint",
        "choice",
        "randrange",
        "sample",
        "choices",
        "getrandbits",
        "randbytes",
    ),
    *("gauss", "normalvariate", "lognormvariate", "expovariate", "vonmisesvariate", "gammavariate", "betavariate"),
    *("binomialvariate", "paretovariate", "weibullvariate"),
)
_SECRETS = ("choice", "randbelow", "randbits", "token_bytes", "token_hex", "token_urlsafe")
_KEEP_REAL_TIME = (
    logging,
    logging.handlers,
    asyncio.base_events,
    asyncio.events,
    concurrent.futures._base,  # noqa: SLF001 - its `time` is replaced, nothing of it is used
    concurrent.futures.thread,
)
"""Modules whose own use of the clock decides nothing that user code sees: they keep the real one."""


_recorder: Recorder | None = None
"""Who is asked; nobody before a session has begun, and in one that is not durable."""
_prepared = False


def install(recorder: Recorder) -> None:
    """From now on `recorder` is asked, in this process, for good."""
    global _recorder  # noqa: PLW0603 - a process has one session
    prepare()
    _aside.seed()  # forks of one zygote would all draw the same
    _recorder = recorder


def prepare() -> None:
    """Replace the sources of nondeterminism; until `install` they are what they were. A zygote does it for all."""
    global _prepared  # noqa: PLW0603 - once per process
    if _prepared:
        return
    _prepared = True
    real_time = types.SimpleNamespace(**vars(time))
    for module in _KEEP_REAL_TIME:
        if "time" in vars(module):
            module.time = real_time  # type: ignore[attr-defined]
    logging.os = types.SimpleNamespace(**vars(os))  # type: ignore[attr-defined]  # it asks for the process in each record
    for name in _CLOCKS:
        _mark(time, name)
    for name, position in _NOW_UNLESS_GIVEN.items():
        _mark(time, name, unless_given=position)
    for name in _RANDOM:
        _mark_random(name)
    for name in ("seed", "setstate"):
        _replace(random, name, functools.partial(_seed, getattr(random, name)))
    _replace(random, "getstate", random.getstate)
    for name in _SECRETS:
        _mark(secrets, name)
    for name in ("uuid1", "uuid4"):
        _mark(uuid, name)
    for name in ("urandom", "getpid", "getppid", "times", "cpu_count", "getloadavg"):
        _mark(os, name)
    _replace(random, "shuffle", functools.partial(_shuffle, random.shuffle))
    _replace(time, "sleep", _sleep)
    _replace_asyncio_sleep()
    _replace_new_event_loop()


def _listening() -> Recorder | None:
    """The recorder, if what happens now is to be recorded."""
    recorder = _recorder
    return None if recorder is None or recorder.direct() else recorder


def _mark(module: types.ModuleType, name: str, unless_given: int | None = None) -> None:
    real = getattr(module, name, None)
    if real is None:  # newer than this interpreter, or not on this platform
        return
    qualified = f"{module.__name__}.{name}"

    @speaks_for_others
    def marked(*args: Any, **kwargs: Any) -> Any:
        if _recorder is None or (unless_given is not None and len(args) > unless_given):
            return real(*args, **kwargs)
        return _recorder.marker(qualified, real, None, args, kwargs)

    _replace(module, name, marked)


def _replace(module: types.ModuleType, name: str, new: Callable[..., Any]) -> None:
    replacement = functools.wraps(getattr(module, name))(new if type(new) is types.FunctionType else _function(new))
    del replacement.__wrapped__
    replacement.__module__ = module.__name__
    setattr(module, name, replacement)


def _function(new: Callable[..., Any]) -> Callable[..., Any]:
    @speaks_for_others
    def function(*args: Any, **kwargs: Any) -> Any:
        return new(*args, **kwargs)

    return function


_seeded = False
"""User code has given the generator of the `random` module a state: what it draws follows from that."""
_aside = random.Random()  # noqa: S311 - as unpredictable as the module's own
"""What activities draw from, so that those which replay leaves out do not shift what user code draws."""


def _mark_random(name: str) -> None:
    real = getattr(random, name, None)
    if real is None:
        return
    aside = getattr(_aside, name)

    @speaks_for_others
    def drawn(*args: Any, **kwargs: Any) -> Any:
        if _recorder is None:
            return real(*args, **kwargs)
        if _recorder.direct():
            return aside(*args, **kwargs)
        if _seeded:
            return real(*args, **kwargs)
        return _recorder.marker(f"random.{name}", real, None, args, kwargs)

    _replace(random, name, drawn)


@speaks_for_others
def _seed(real: Callable[..., None], a: Any = None, *args: Any, **kwargs: Any) -> None:
    """`random.seed` and `random.setstate`: from a given state on, draws need no record."""
    global _seeded  # noqa: PLW0603 - the generator is the process's, too
    if _recorder is not None and _recorder.direct():
        getattr(_aside, real.__name__)(a, *args, **kwargs)
        return
    real(a, *args, **kwargs)
    _seeded = a is not None


@speaks_for_others
def _shuffle(real: Callable[..., None], x: MutableSequence[Any]) -> None:
    """`random.shuffle`: the permutation is recorded, and applied in place, live and in replay."""
    recorder = _listening()
    if recorder is None:
        (real if _recorder is None else _aside.shuffle)(x)
        return
    if _seeded:
        real(x)
        return
    order = recorder.marker("random.shuffle", _permutation, None, (len(x),), {})
    x[:] = [x[i] for i in order]


def _permutation(n: int) -> list[int]:
    return random.sample(range(n), n)


@speaks_for_others
def _sleep(seconds: float) -> None:
    """`time.sleep`: a durable timer, with its checks."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        seconds = seconds.__index__() if hasattr(seconds, "__index__") else float(seconds)
    if seconds != seconds:
        raise ValueError("Invalid value NaN (not a number)")
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    recorder = _listening()
    if recorder is None:
        attempts.real_sleep(seconds)
    elif seconds == 0:
        recorder.breathe()
    else:
        recorder.sleep(float(seconds))


def _replace_asyncio_sleep() -> None:
    real = asyncio.sleep

    @speaks_for_others
    async def sleep(delay: float, result: Any = None) -> Any:
        """As `asyncio.sleep`, but the timer is durable."""
        recorder = _listening()
        if delay <= 0 or recorder is None or not recorder.sleeps_alone():
            return await real(delay, result)
        recorder.sleep(delay)
        return result

    sleep.__module__ = "asyncio.tasks"
    sleep.__qualname__ = "sleep"
    sleep.__perdure_activity__ = None  # type: ignore[attr-defined]
    asyncio.sleep = asyncio.tasks.sleep = sleep


def _replace_new_event_loop() -> None:
    """User code gets loops of ours, from `asyncio.run`, `Runner`, `new_event_loop` and `get_event_loop` alike."""
    policy = asyncio.events.BaseDefaultEventLoopPolicy
    real = policy.new_event_loop

    @speaks_for_others
    def new_event_loop(self: Any) -> asyncio.AbstractEventLoop:
        recorder = _listening()
        return real(self) if recorder is None else recorder.new_loop()

    new_event_loop.__module__, new_event_loop.__qualname__ = real.__module__, real.__qualname__
    policy.new_event_loop = new_event_loop  # type: ignore[method-assign]
