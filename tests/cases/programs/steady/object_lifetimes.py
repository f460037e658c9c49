"""Finalisers, weak references and garbage collection of user objects that call out at deterministic moments."""

import gc
import weakref

from web import get


class Guard:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        print("gone", self.name)


def main(event):
    url = event["url"]
    guard = Guard("first")
    seen = weakref.WeakValueDictionary(first=guard)
    before = len(seen)
    del guard
    weakref.finalize(Guard("second"), print, "finalised")
    gc.collect()
    return [before, len(seen), get(url + "/after")]


CASE = {
    "result": [1, 0, "after"],
    "prints": ["gone first", "gone second", "finalised"],
    "calls": ["activity web.get"],
    "effects": 1,
}
