"""Inside an activity nothing is recorded: not calls, not clocks, not other activities, not user code it calls."""

import random
import time

import perdure
from web import get, post


def plain(url):
    return [get(url + "/a"), time.time() > 0, random.random() < 1]


@perdure.activity
def outer(url):
    return [plain(url), inner(url), sorted(["bb", "a"], key=lambda word: len(get(f"{url}/{word}")))]


@perdure.activity
def inner(url):
    time.sleep(0.001)
    return post(url + "/p", "inner")


def main(event):
    return [outer(event["url"]), inner(event["url"])]


CASE = {
    "result": [[["a", True, True], "inner", ["a", "bb"]], "inner"],
    "calls": ["activity nested_activities.outer", "activity nested_activities.inner"],
    "effects": 5,
    "in_flight": 4,
}
