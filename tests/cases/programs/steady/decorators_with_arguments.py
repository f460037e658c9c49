"""Decorators and decorator factories of user code that call out while they decorate and while they are called."""

import functools

from web import get


def tagged(url, tag):
    prefix = get(f"{url}/{tag}")

    def decorate(function):
        label = get(f"{url}/{function.__name__}")

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return f"{prefix}:{label}:{function(*args, **kwargs)}"

        return wrapper

    return decorate


def main(event):
    url = event["url"]

    @tagged(url, "outer")
    @tagged(url, tag=get(url + "/inner"))
    def work(name):
        """Documented."""
        return get(f"{url}/{name}")

    return [work("x"), work.__name__, work.__doc__]


CASE = {
    "result": ["outer:work:inner:work:x", "work", "Documented."],
    "calls": ["activity web.get"] * 6,
    "effects": 6,
}
