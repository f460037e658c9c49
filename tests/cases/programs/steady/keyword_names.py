"""Keyword arguments with the names that a careless wrapper would use for itself."""

import sys

import perdure


@perdure.activity
def named(self, func, f, *, site, args, kwargs, call, event, name="n"):
    return [self, func, f, site, args, kwargs, call, event, name]


def own(self=0, f=0, **kwargs):
    return [self, f, kwargs]


def main(event):
    sys.path.append(event["lib"])
    import outside

    words = outside.keywords(self=1, func=2, f=3, site=4, args=5, kwargs=6, recorder=7, verdict=8)
    marked = named(self=1, func=2, f=3, site=4, args=5, kwargs=6, call=7, event=8)
    return [words, marked, own(self=1, f=2, args=3, kwargs=4)]


CASE = {
    "result": [
        {"self": 1, "func": 2, "f": 3, "site": 4, "args": 5, "kwargs": 6, "recorder": 7, "verdict": 8},
        [1, 2, 3, 4, 5, 6, 7, 8, "n"],
        [1, 2, {"args": 3, "kwargs": 4}],
    ],
    "calls": ["activity outside.keywords", "activity keyword_names.named"],
    "effects": 0,
}
