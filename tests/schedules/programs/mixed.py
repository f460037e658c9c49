"""Tasks and threads in one program: to_thread, threads that run loops of their own, as_completed."""

import asyncio
import random
import threading

from outside import awork, work


async def main(event):
    trace = []

    async def one(n):
        trace.append(await asyncio.to_thread(work, n))
        trace.append(random.randrange(100))

    def loop_of_its_own(n):
        async def inside():
            return await asyncio.gather(awork(n), awork(n + 1), return_exceptions=True)

        trace.append(repr(asyncio.run(inside())))

    threads = [threading.Thread(target=loop_of_its_own, args=(n,)) for n in (20, 30)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(one(n) for n in range(3)))
    for done in asyncio.as_completed([awork(n) for n in (7, 8, 9)]):
        trace.append(await done)
    for thread in threads:
        await asyncio.to_thread(thread.join)
    return trace
