"""wait_for and timeout: what takes too long is cancelled, outside as well; shield lets it go on."""

import asyncio

from aweb import fetch


async def main(event):
    url = event["url"]
    out = [await asyncio.wait_for(fetch(url + "/quick"), 20)]
    late = asyncio.create_task(fetch(url + "/slow/20/late"))
    out.append(await fetch(url + "/with/3/begun"))
    try:
        await asyncio.wait_for(late, 0.1)
    except TimeoutError:
        out.append("late")
    try:
        async with asyncio.timeout(0.1):
            await asyncio.sleep(3600)
    except TimeoutError:
        out.append("slept too long")
    task = asyncio.create_task(fetch(url + "/slow/1.5/shielded"))
    try:
        await asyncio.wait_for(asyncio.shield(task), 0.1)
    except TimeoutError:
        out.append("shield")
    out.append(await task)
    return out


CASE = {
    "result": ["quick", "begun", "late", "slept too long", "shield", "shielded"],
    "effects": 4,
    "in_flight": 2,
    "waits": True,
}
