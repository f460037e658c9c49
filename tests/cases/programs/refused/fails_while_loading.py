"""The module raises while it is loaded."""

SETTINGS = {}["absent"]


def main(event):
    return SETTINGS


CASE = {"error": "KeyError", "says": "absent"}
