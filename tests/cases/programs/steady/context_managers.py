"""Context managers of user code: classes, contextlib, ExitStack, one that swallows an exception."""

import contextlib

from web import get


class Booking:
    def __init__(self, url, name):
        self.url, self.name = url, name

    def __enter__(self):
        return get(f"{self.url}/open-{self.name}")

    def __exit__(self, kind, error, trace):
        print(get(f"{self.url}/close-{self.name}"), kind and kind.__name__)
        return kind is KeyError


@contextlib.contextmanager
def scope(url):
    got = get(url + "/enter")
    try:
        yield got
    finally:
        print(get(url + "/leave"))


def main(event):
    url = event["url"]
    with Booking(url, "a") as first, scope(url) as second:
        print(first, second)
    with Booking(url, "b"):
        raise KeyError("swallowed")
    with contextlib.ExitStack() as stack:
        texts = [stack.enter_context(Booking(url, name)) for name in "xy"]
        stack.callback(print, "first out")
    with contextlib.suppress(ValueError):
        raise ValueError(get(url + "/suppressed"))
    return texts


CASE = {
    "result": ["open-x", "open-y"],
    "prints": [
        "open-a enter",
        "leave",
        "close-a None",
        "close-b KeyError",
        "first out",
        "close-y None",
        "close-x None",
    ],
    "calls": ["activity web.get"] * 11,
    "effects": 11,
}
