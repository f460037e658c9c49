"""Expressions a thousand operators long and calls fifty levels deep."""

from web import get


def one():
    return 1


def deep(text, times):
    return eval("f(" * 50 + "x" + ")" * 50, {"f": lambda value: value, "x": text})


TOTAL = (
    one() + one() + one() + one() + one() + one() + one() + one() + one() + one()
)
LONG = "one()" + " + one()" * 999


def main(event):
    return [TOTAL, eval(LONG), deep(get(event["url"] + "/x"), 50)]


CASE = {"result": [10, 1000, "x"], "calls": ["activity web.get"], "effects": 1}
