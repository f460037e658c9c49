"""Globals of the module, attributes of classes and outer variables that an activity rebinds or changes."""

import perdure
from web import get, request

total = 0
cache = {}
unset = None


class Settings:
    count = 0
    names = []


def remember(key, value):
    """Called by the activity: what it names is the activity's business too."""
    cache[key] = value


@perdure.activity
def load(url, key):
    global total, made
    value = request("GET", f"{url}/{key}").decode()
    total += len(value)
    made = [key]
    remember(key, value)
    Settings.count += 1
    Settings.names.append(key)
    return value


def main(event):
    tries = 0
    log = []

    @perdure.activity
    def count(url):
        nonlocal tries
        request("GET", url + "/count")
        tries += 1
        log.append(tries)

    kept = cache
    load(event["url"], "one")
    load(event["url"], "three")
    count(event["url"])
    count(event["url"])
    get(f"{event['url']}/{total}")
    return [total, made, cache, cache is kept, Settings.count, Settings.names, tries, log, unset]


CASE = {
    "result": [
        8, ["three"], {"one": "one", "three": "three"}, True, 2, ["one", "three"], 2, [1, 2], None,
    ],
    "calls": ["activity change_globals.load"] * 2
    + ["activity change_globals.main.<locals>.count"] * 2
    + ["activity web.get"],
    "effects": 5,
}
