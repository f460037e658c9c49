"""Threads, pools and event loops inside an activity are its own business."""

import asyncio
import concurrent.futures
import threading

import perdure
from web import request


@perdure.activity
def fan_out(url):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda i: request("GET", f"{url}/{i}").decode(), range(4)))
    seen = []
    thread = threading.Thread(target=lambda: seen.append(request("GET", url + "/thread").decode()))
    thread.start()
    thread.join()
    return texts + seen


@perdure.activity
def gathered(url):
    async def one(name):
        await asyncio.sleep(0.001)
        return request("GET", f"{url}/{name}").decode()

    async def both():
        return await asyncio.gather(one("a"), one("b"))

    return asyncio.run(both())


def main(event):
    return [fan_out(event["url"]), gathered(event["url"])]


CASE = {
    "result": [["0", "1", "2", "3", "thread"], ["a", "b"]],
    "calls": ["activity threads_inside.fan_out", "activity threads_inside.gathered"],
    "effects": 7,
    "in_flight": 5,
}
