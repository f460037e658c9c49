"""A task inside inhibit_activities awaits: the calls of the others are recorded, its own are not."""

import asyncio
import sys

import perdure
from aweb import fetch


async def main(event):
    sys.path.append(event["lib"])
    import outside

    inside, done = asyncio.Event(), asyncio.Event()

    async def inhibited():
        with perdure.inhibit_activities():
            inside.set()
            await done.wait()
            return outside.double(10)

    async def other():
        await inside.wait()
        text = await fetch(event["url"] + "/other")
        done.set()
        return text

    return [*await asyncio.gather(inhibited(), other()), outside.double(1)]


CASE = {"result": [20, "other", 2], "calls": ["activity aweb.fetch", "activity outside.double"], "effects": 1}
