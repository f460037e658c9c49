"""Stopped in the middle: tasks in external calls, tasks that sleep, threads; cleanup makes a call of its own."""

import asyncio
import threading

import perdure
from outside import awork, work


@perdure.activity
async def forever():
    await asyncio.Event().wait()


async def tasks(event):
    try:
        await asyncio.gather(forever(), forever(), asyncio.sleep(3600))
    finally:
        print("cleanup", await awork(1))


async def sleepers(event):
    try:
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(7200))
    finally:
        print("cleanup", await awork(1))


def threads(event):
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        perdure.next_signal("never")
    finally:
        print("cleanup", work(1))
        done.set()
        thread.join()
