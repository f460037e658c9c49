"""match with calls in its subject, guards and bodies; class patterns are no calls."""

from dataclasses import dataclass

from web import get


@dataclass
class Point:
    x: int
    y: int


def classify(url, value):
    match value:
        case {"kind": kind, **rest} if get(f"{url}/{kind}") == "good":
            return [kind, rest]
        case Point(x=0, y=y):
            return get(f"{url}/axis{y}")
        case [first, *others] if others:
            return [first, len(others)]
        case str() as text:
            return get(f"{url}/{text}")
        case None | False:
            return "nothing"
        case _:
            return get(url + "/other")


def main(event):
    url = event["url"]
    values = [{"kind": "good", "a": 1}, {"kind": "bad"}, Point(0, 3), [1, 2, 3], "text", None, 5]
    match get(url + "/subject"):
        case "subject":
            return [classify(url, value) for value in values]


CASE = {
    "result": [["good", {"a": 1}], "other", "axis3", [1, 2], "text", "nothing", "other"],
    "calls": ["activity web.get"] * 7,
    "effects": 7,
}
