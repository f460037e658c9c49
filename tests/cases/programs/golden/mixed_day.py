"""A bit of everything in one handler: calls, chance, clock, sleep, failure, output."""

import random
import time
import uuid

import perdure
from web import HttpError, get, post


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=3, initial_delay=0.01, jitter=0))
def flaky(url):
    from web import request

    return request("GET", url).decode()


def main(event):
    url = event["url"]
    ticket = uuid.uuid4().hex
    print("ticket", ticket)
    kept = []
    for name in random.sample(["a", "b", "c", "d"], 3):
        if random.random() < 0.5:
            time.sleep(0.01)
        kept.append(get(f"{url}/{name}"))
    try:
        get(url + "/status/404/none")
    except HttpError as error:
        print("missing", error.status)
    print(flaky(url + "/fail/1/at-last"))
    started = time.time()
    return [ticket, kept, post(url + "/ticket", ticket) == ticket, time.time() >= started]


CASE = {
    "plain": False,
    "check": "prints == [f'ticket {result[0]}', 'missing 404', 'at-last'] and len(result[1]) == 3"
    " and result[2:] == [True, True]",
    "effects": 7,
    "waits": True,
}
