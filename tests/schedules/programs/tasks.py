"""Workers, a queue, a lock, the first of several, a time-out: the trace is another one each time."""

import asyncio

from outside import awork


async def attempt(n):
    try:
        return await awork(n)
    except ValueError as error:
        return f"E{error}"


async def main(event):
    trace, queue, lock = [], asyncio.Queue(), asyncio.Lock()

    async def worker(k):
        for j in range(3):
            value = await attempt(k * 10 + j)
            async with lock:
                trace.append([k, j, value])
            await queue.put(value)

    async def consumer():
        for i in range(12):
            trace.append(["got", await queue.get()])
            if i % 5 == 0:
                await asyncio.sleep(0.001)

    tasks = [asyncio.create_task(worker(k)) for k in range(4)] + [asyncio.create_task(consumer())]
    first, rest = await asyncio.wait(
        {asyncio.create_task(attempt(140 + k)) for k in range(3)}, return_when=asyncio.FIRST_COMPLETED
    )
    trace.append(["first", [task.result() for task in first]])
    try:
        trace.append(await asyncio.wait_for(awork(200), 0.005))
    except TimeoutError:
        trace.append("timeout")
    await asyncio.gather(*tasks, *rest)
    return trace
