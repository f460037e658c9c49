"""The handlers that the benchmark runs."""

import asyncio
import os
import time

import perdure


def now():
    """Seconds of the clock that all processes of the machine share, read without being recorded."""
    with perdure.inhibit_activities():
        return time.clock_gettime(time.CLOCK_MONOTONIC)


@perdure.activity
def one():
    return 1


@perdure.activity
def pause(seconds):
    time.sleep(seconds)


@perdure.activity
async def pause_aside(seconds):
    await asyncio.sleep(seconds)


@perdure.activity
def tick(path):
    """Leave a mark outside; the file's lines are when each happened."""
    line = f"{time.clock_gettime(time.CLOCK_MONOTONIC)}\n".encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.close(file)
    time.sleep(0.002)


def sequence(event):
    """Some activities, one after another. Gives the seconds from before the first to after the last."""
    began = now()
    for _ in range(event["activities"]):
        one()
    return now() - began


def first_line(_event):
    """Gives when it began."""
    return now()


def pausing(event):
    pause(event["seconds"])


async def gathering(event):
    """Some activities at once. Gives the seconds from before the first to after the last."""
    began = now()
    await asyncio.gather(*(pause_aside(event["seconds"]) for _ in range(event["activities"])))
    return now() - began


def ticking(event):
    for _ in range(event["ticks"]):
        tick(event["path"])


def sleeping(event):
    time.sleep(event["seconds"])
