"""A retry policy from the manifest, by the function's name."""

from web import patient


def main(event):
    return patient(event["url"] + "/fail/2/patience")


CASE = {"plain": False, "result": "patience", "calls": ["activity web.patient"], "effects": 3}
