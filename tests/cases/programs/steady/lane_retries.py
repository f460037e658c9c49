"""Activities that are tried again, side by side."""

import asyncio

import perdure
from aweb import fetch


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=4, initial_delay=0.02, jitter=0))
async def stubborn(url):
    return await fetch(url)


async def main(event):
    return await asyncio.gather(*(stubborn(f"{event['url']}/fail/{n}/{n}") for n in (2, 1, 0)))


CASE = {"result": ["2", "1", "0"], "plain": False, "effects": 6, "in_flight": 3, "waits": True}
