"""Async generators, async comprehensions, async context managers of user code, finally in all of them."""

import contextlib

from web import aget


async def numbers(url, count):
    try:
        for i in range(count):
            yield await aget(f"{url}/{i}")
    finally:
        print(await aget(url + "/generator-closed"))


class Room:
    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        return await aget(self.url + "/enter")

    async def __aexit__(self, kind, error, trace):
        print(await aget(self.url + "/exit"), kind and kind.__name__)
        return kind is KeyError


@contextlib.asynccontextmanager
async def scope(url):
    yield await aget(url + "/scope")
    print(await aget(url + "/left"))


async def main(event):
    url = event["url"]
    listed = [x async for x in numbers(url, 2)]
    doubled = {await aget(f"{url}/{x}{x}") for x in "p"}
    async with Room(url) as room, scope(url) as inner:
        print(room, inner)
    async with Room(url):
        raise KeyError(1)
    async with contextlib.aclosing(numbers(url, 5)) as stream:
        async for first in stream:
            break
    return [listed, sorted(doubled), first]


CASE = {
    "result": [["0", "1"], ["pp"], "0"],
    "prints": ["generator-closed", "enter scope", "left", "exit None", "exit KeyError", "generator-closed"],
    "calls": ["activity web.aget"] * 12,
    "effects": 12,
}
