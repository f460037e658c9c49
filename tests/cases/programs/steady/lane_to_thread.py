"""asyncio and threads together: to_thread, run_in_executor, and asyncio.run several times in a sync handler."""

import asyncio

from aweb import fetch
from web import get


async def both(url, n):
    loop = asyncio.get_running_loop()
    return await asyncio.gather(
        asyncio.to_thread(get, f"{url}/thread{n}"),
        loop.run_in_executor(None, get, f"{url}/executor{n}"),
        fetch(f"{url}/task{n}"),
    )


def main(event):
    return [asyncio.run(both(event["url"], n)) for n in range(2)]


CASE = {
    "result": [["thread0", "executor0", "task0"], ["thread1", "executor1", "task1"]],
    "effects": 6,
    "in_flight": 3,
}
