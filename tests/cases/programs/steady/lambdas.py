"""Lambdas that call out, at once and later, with defaults that call out."""

from web import get


def main(event):
    url = event["url"]
    fetch = lambda name, suffix=get(url + "/suffix"): get(f"{url}/{name}") + suffix
    table = {"x": lambda: fetch("x"), "y": lambda: fetch("y", "!")}
    return [table["y"](), table["x"](), (lambda u: get(u + "/now"))(url)]


CASE = {"result": ["y!", "xsuffix", "now"], "calls": ["activity web.get"] * 4, "effects": 4}
