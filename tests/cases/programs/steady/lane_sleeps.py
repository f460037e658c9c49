"""A thread sleeps while another one works; tasks sleep beside each other; a generator awaits."""

import asyncio
import threading
import time

from aweb import fetch
from web import get


async def pairs(url):
    for i in range(2):
        await asyncio.sleep(0.06)
        yield await fetch(f"{url}/pair{i}")


async def tasks(url):
    async def slept(seconds):
        await asyncio.sleep(seconds)
        return seconds

    found = [text async for text in pairs(url)]
    return found + await asyncio.gather(slept(0.15), slept(0.1), asyncio.sleep(0.1, "done"))


def main(event):
    url, out = event["url"], []

    def sleeper():
        time.sleep(1)
        out.append("slept")

    thread = threading.Thread(target=sleeper)
    thread.start()
    out.append(get(url + "/meanwhile"))
    thread.join()
    return out + asyncio.run(tasks(url))


CASE = {
    "result": ["meanwhile", "slept", "pair0", "pair1", 0.15, 0.1, "done"],
    "alternative": ["slept", "meanwhile", "pair0", "pair1", 0.15, 0.1, "done"],  # its time passes while nobody runs
    "effects": 3,
    "waits": True,
}
