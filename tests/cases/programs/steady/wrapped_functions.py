"""functools.wraps, cache and singledispatch around functions that call out."""

import functools

from web import get


def twice(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) + function(*args)

    return wrapper


@functools.lru_cache
def cached(url):
    return get(url)


@functools.singledispatch
def describe(value, url):
    return get(url + "/object")


@describe.register
def _(value: int, url):
    return get(f"{url}/int{value}")


def main(event):
    url = event["url"]
    loud = twice(lambda name: get(f"{url}/{name}"))
    return [loud("a"), cached(url + "/c"), cached(url + "/c"), describe(5, url), describe("x", url)]


CASE = {"result": ["aa", "c", "c", "int5", "object"], "calls": ["activity web.get"] * 5, "effects": 5}
