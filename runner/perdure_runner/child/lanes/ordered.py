"""Tasks and futures whose place in a set does not depend on where they are in memory.

User code goes over the sets that `asyncio.wait`, `all_tasks` and `concurrent.futures` give it; the order has to be the
same in every replay.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

_numbers = count(1)
_NUMBER = "_perdure_number"


class Task(asyncio.Task[Any]):
    """A task of a lane."""

    __slots__ = (_NUMBER,)

    def __init__(self, coro: Any, **options: Any) -> None:
        self._perdure_number = next(_numbers)
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._perdure_number


class Future(asyncio.Future[Any]):
    """A future of a loop of user code."""

    __slots__ = (_NUMBER,)

    def __init__(self, **options: Any) -> None:
        self._perdure_number = next(_numbers)
        super().__init__(**options)

    def __hash__(self) -> int:
        return self._perdure_number


for _class, _module in ((Task, "asyncio.tasks"), (Future, "asyncio.futures")):
    _class.__module__ = _module


def number_futures(direct: Callable[[], bool]) -> None:
    """From now on futures of thread pools are numbered, too, where user code makes them."""
    real = concurrent.futures.Future.__init__

    def init(self: concurrent.futures.Future[Any]) -> None:
        real(self)
        if not direct():
            self.__dict__[_NUMBER] = next(_numbers)

    def number(self: concurrent.futures.Future[Any]) -> int:
        known: int | None = self.__dict__.get(_NUMBER)
        return object.__hash__(self) if known is None else known

    init.__name__, init.__qualname__, init.__module__ = real.__name__, real.__qualname__, real.__module__
    concurrent.futures.Future.__init__ = init  # type: ignore[method-assign,assignment]
    concurrent.futures.Future.__hash__ = number  # type: ignore[method-assign,assignment]


def begin_in_order() -> None:
    """`asyncio.as_completed` makes tasks of a set of coroutines: make them in the order in which they were given."""
    real = asyncio.as_completed

    def as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> Iterator[Any]:
        if not asyncio.isfuture(fs) and not asyncio.iscoroutine(fs) and getattr(_loop(), "perdure_lanes", False):
            fs = [asyncio.ensure_future(f) for f in dict.fromkeys(fs)]
        return real(fs, timeout=timeout)

    as_completed.__module__, as_completed.__doc__ = real.__module__, real.__doc__
    as_completed.__perdure_activity__ = None  # type: ignore[attr-defined]  # call sites leave it alone
    asyncio.as_completed = asyncio.tasks.as_completed = as_completed


def _loop() -> asyncio.AbstractEventLoop | None:
    return asyncio._get_running_loop()  # noqa: SLF001 - there may be none
