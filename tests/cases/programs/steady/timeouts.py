"""A timeout interrupts the activity; it can be caught, and retried by a policy."""

import perdure
from web import get, request


@perdure.activity(timeout=0.2)
def slow(url):
    return request("GET", url).decode()


def main(event):
    url = event["url"]
    try:
        slow(url + "/slow/5/late")
    except TimeoutError as error:
        caught = [type(error).__name__, error.code]
    return [caught, slow(url + "/quick"), get(url + "/after")]


CASE = {
    "plain": False,
    "result": [["ActivityTimeout", "P0411"], "quick", "after"],
    "calls": ["activity timeouts.slow"] * 2 + ["activity web.get"],
    "effects": 3,
}
