"""A task is cancelled in the middle of an activity; its cleanup makes calls of its own."""

import asyncio

from aweb import fetch


async def main(event):
    url, out = event["url"], []

    async def work():
        try:
            await fetch(url + "/slow/20/never")
        except asyncio.CancelledError:
            out.append(await fetch(url + "/cleanup"))
            raise
        finally:
            out.append("finally")

    task = asyncio.create_task(work())
    out.append(await fetch(url + "/with/2/other"))
    task.cancel("enough")
    try:
        await task
    except asyncio.CancelledError:
        out.append("cancelled")
    return out


CASE = {"result": ["other", "cleanup", "finally", "cancelled"], "effects": 3, "in_flight": 2}
