"""Imports inside functions: user modules are patched then too, importlib works, circular ones too."""

import importlib


def main(event):
    from lazy_part import early

    before = early(event["url"])
    late = importlib.import_module("lazy_part_two")
    return [before, late.fetch(event["url"]), late.partner()]


CASE = {"result": ["early", "two", "lazy_part"], "calls": ["activity web.get"] * 2, "effects": 2}
