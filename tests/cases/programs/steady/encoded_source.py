# -*- coding: latin-1 -*-
"""A source file in another encoding, with form feeds and semicolons."""

from web import get; SUFFIX = "é"


def main(event):
    url = event["url"]; texts = [get(url + "/a"), get(url + "/b") + SUFFIX]; return texts


CASE = {"result": ["a", "bé"], "calls": ["activity web.get"] * 2, "effects": 2}
