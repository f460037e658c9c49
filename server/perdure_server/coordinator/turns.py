"""Threads for what projects have the coordinator do: of each project one thing at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Turns:
    """A project that asks for much, or for what takes long, waits for itself: it never has more than one thread."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # whoever waits keeps it

    async def run(self, project: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call it in a thread, after what was asked for the same project before."""
        turn = self._turns.get(project)
        if turn is None:
            turn = self._turns[project] = asyncio.Lock()
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
