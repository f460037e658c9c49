"""A timeout interrupts the activity; it can be caught, and retried by a policy."""

import perdure
from web import get, request


@perdure.activity(timeout=2)
def slow(url):
    return request("GET", url).decode()


@perdure.activity(timeout=60)
def quick(url):
    return request("GET", url).decode()


def main(event):
    url = event["url"]
    try:
        slow(url + "/slow/20/late")
    except TimeoutError as error:
        caught = [type(error).__name__, error.code]
    return [caught, quick(url + "/quick"), get(url + "/after")]


CASE = {
    "plain": False,
    "result": [["ActivityTimeout", "P0411"], "quick", "after"],
    "calls": ["activity timeouts.slow", "activity timeouts.quick", "activity web.get"],
    "effects": 3,
}
