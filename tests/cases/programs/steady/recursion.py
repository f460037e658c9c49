"""Recursion with a call on every level, mutual recursion, memoised recursion."""

import functools

from web import get


def tree(url, depth, name="t"):
    if depth == 0:
        return get(f"{url}/{name}")
    return [tree(url, depth - 1, name + side) for side in "lr"]


def even(url, n):
    return get(url + "/even") if n == 0 else odd(url, n - 1)


def odd(url, n):
    return get(url + "/odd") if n == 0 else even(url, n - 1)


@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def main(event):
    url = event["url"]
    return [tree(url, 2), even(url, 7), fibonacci(50)]


CASE = {
    "result": [[["tll", "tlr"], ["trl", "trr"]], "odd", 12586269025],
    "calls": ["activity web.get"] * 5,
    "effects": 5,
}
