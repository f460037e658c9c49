"""External awaits at once, in tasks of their own; each of them runs when the others do."""

import asyncio
import time

from aweb import fetch


async def one(url, i):
    text = await fetch(f"{url}/slow/0.1/{i}")
    print("got", i)
    return text


async def main(event):
    began = time.monotonic()
    texts = await asyncio.gather(*(one(event["url"], i) for i in range(5)))
    together = time.monotonic() - began < 0.4
    more = await asyncio.gather(*(fetch(f"{event['url']}/again{i}") for i in range(3)))
    return [together, texts, more]


CASE = {
    "check": "result[1:] == [list('01234'), ['again0', 'again1', 'again2']] and sorted(prints) == [f'got {i}' for i in range(5)]",
    "effects": 8,
    "in_flight": 5,
}
