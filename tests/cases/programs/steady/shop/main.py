"""Packages, relative imports in both directions, a lazy import in a package, data beside the code."""

from pathlib import Path

from . import price
from .parts import names
from .parts.deep import deep


def main(event):
    from .parts import lazily

    motto = (Path(__file__).parent / "motto.txt").read_text().strip()
    return [[price(event["url"], name) for name in names()], deep(event["url"]), lazily.fetch(event["url"]), motto]


CASE = {"result": [[3, 5], "deep", "lazily", "cheap and cheerful"], "effects": 4}
