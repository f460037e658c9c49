"""as_completed and wait: what user code sees first is what came first, in every replay."""

import asyncio

from aweb import fetch


async def main(event):
    url = event["url"]
    seen = []
    for next_one in asyncio.as_completed([fetch(f"{url}/slow/{delay}/{delay}") for delay in (0.3, 0.05, 0.15)]):
        seen.append(await next_one)
    tasks = [asyncio.create_task(fetch(f"{url}/slow/{delay}/w{delay}")) for delay in (0.9, 0.05)]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    first = [task.result() for task in done]
    await asyncio.gather(*rest)
    return [sorted(seen), len(first), sorted(task.result() for task in tasks)]


CASE = {"check": "result == [['0.05', '0.15', '0.3'], 1, ['w0.05', 'w0.9']]", "effects": 5, "in_flight": 3}
