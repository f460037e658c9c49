"""User functions and lambdas that call out, handed to built-in functions."""

import functools
import itertools

from web import get


def main(event):
    url = event["url"]
    size = functools.partial(lambda base, name: len(get(f"{base}/{name}")), url)
    names = ["ccc", "a", "bb"]
    ordered = sorted(names, key=size)
    largest = max(names, key=size)
    kept = list(itertools.takewhile(lambda name: size(name) < 3, ordered))
    doubled = list(map(lambda a, b: get(f"{url}/{a}{b}"), "xy", "12"))
    return [ordered, largest, kept, doubled]


CASE = {
    "result": [["a", "bb", "ccc"], "ccc", ["a", "bb"], ["x1", "y2"]],
    "calls": ["activity web.get"] * 11,
    "effects": 11,
}
