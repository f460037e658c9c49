"""An async handler that awaits user coroutines, async activities and durable sleeps, one after the other."""

import asyncio

from web import aget, get


async def step(url, name):
    first = await aget(f"{url}/{name}")
    await asyncio.sleep(0.01)
    return first + get(f"{url}/sync-{name}")


class Later:
    def __init__(self, url):
        self.url = url

    def __await__(self):
        return step(self.url, "later").__await__()


async def main(event):
    url = event["url"]
    results = [await step(url, name) for name in ("a", "b")]
    print(results)
    results.append(await Later(url))
    return results


CASE = {
    "result": ["async-a", "bsync-b", "latersync-later"],
    "prints": ["['async-a', 'bsync-b']"],
    "calls": ["activity web.aget", "timer", "activity web.get"] * 3,
    "effects": 6,
    "waits": True,
}
