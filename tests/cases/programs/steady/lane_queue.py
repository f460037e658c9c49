"""Workers on an asyncio queue, with a lock, an event, a condition and a semaphore, all of user code's own."""

import asyncio

from aweb import fetch


async def main(event):
    url = event["url"]
    jobs, lock, begun, two = asyncio.Queue(2), asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(2)
    full = asyncio.Condition()
    done = []

    async def worker(name):
        await begun.wait()
        while True:
            job = await jobs.get()
            async with two:
                text = await fetch(f"{url}/{job}")
            async with lock:
                done.append(text)
            async with full:
                full.notify_all()
            jobs.task_done()

    workers = [asyncio.create_task(worker(i)) for i in range(3)]
    begun.set()
    for job in range(6):
        await jobs.put(job)
    async with full:
        await full.wait_for(lambda: len(done) == 6)
    await jobs.join()
    for task in workers:
        task.cancel()
    ends = await asyncio.gather(*workers, return_exceptions=True)
    return [sorted(done), [type(end).__name__ for end in ends]]


CASE = {
    "result": [["0", "1", "2", "3", "4", "5"], ["CancelledError", "CancelledError", "CancelledError"]],
    "effects": 6,
    "in_flight": 2,
}
