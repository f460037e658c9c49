"""Tasks wait for events, requests and time-outs at once; what a cancelled one did not take is for the next."""

import asyncio

import perdure
from aweb import fetch


async def main(event):
    url, mine = event["url"], f"data.run == '{perdure.session_id()}'"
    first = perdure.subscribe("hook", mine + " && data.n < 3")
    second = perdure.subscribe("hook", mine + " && data.n >= 3")

    async def several(subscription, count):
        return [(await perdure.anext_event(subscription)).n for _ in range(count)]

    out = list(await asyncio.gather(several(first, 2), several(second, 1), fetch(url + "/meanwhile")))
    task = asyncio.create_task(several(first, 1))
    await asyncio.sleep(0.05)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        out.append("cancelled")
    out.append(await perdure.anext_event([first, second], timeout=0.05))
    perdure.set_value(perdure.session_id(), len(out))
    out.append(perdure.get_value(perdure.session_id()))
    return out


CASE = {
    "result": [[1, 2], [3], "meanwhile", "cancelled", None, 5],
    "effects": 1,
    "plain": False,
    "waits": True,
    "events": [{"n": 1}, {"n": 2}, {"n": 3}],
}
