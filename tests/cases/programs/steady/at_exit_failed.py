"""A handler that fails is cleaned up after by its atexit functions, and still fails with its own error."""

import atexit

from web import get


def main(event):
    url = event["url"]
    atexit.register(lambda: print(get(url + "/cleaned")))
    get(url + "/begun")
    raise ValueError("no such order")


CASE = {
    "error": "ValueError: no such order",
    "prints": ["cleaned"],
    "calls": ["activity web.get"] * 2,
    "effects": 2,
}
