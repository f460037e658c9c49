"""The module raises while it is loaded."""

SETTINGS = {}["absent"]


def main(event):
    return SETTINGS


CASE = {"code": "P0302", "error": "KeyError", "says": "absent"}
