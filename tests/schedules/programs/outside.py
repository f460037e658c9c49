"""Externals that take as long as they please."""

import asyncio
import random
import time

import perdure


@perdure.activity
def work(n):
    time.sleep(random.random() * 0.01)
    if n % 7 == 3:
        raise ValueError(n)
    return n


@perdure.activity
async def awork(n):
    await asyncio.sleep(random.random() * 0.01)
    if n % 7 == 3:
        raise ValueError(n)
    return n
