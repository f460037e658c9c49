"""Ctrl-C and SIGTERM as an event: the first one lets a command end in good order, a second one ends it at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


async def until_interrupted(*jobs: Coroutine[Any, Any, object]) -> bool:
    """Run jobs side by side until one ends or the user interrupts; then end them all. True: interrupted.

    Raises what the job raised that ended first.
    """
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()

    def note() -> None:
        interrupted.set()
        restore()

    def restore() -> None:
        for number in _NUMBERS:
            loop.remove_signal_handler(number)

    for number in _NUMBERS:
        loop.add_signal_handler(number, note)
    tasks = [asyncio.ensure_future(job) for job in (*jobs, interrupted.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return done == {tasks[-1]}
    finally:
        restore()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
