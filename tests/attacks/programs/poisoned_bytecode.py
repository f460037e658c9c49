"""Compiled code that later sessions would run in place of the source."""

import os

from probing import attempt


def main(event):
    places = ["__pycache__"]
    above = os.path.dirname(os.path.dirname(os.getcwd()))
    for folder, _, _ in os.walk(above):
        if len(places) > 400:
            break
        places.append(folder)
    for place in places:
        attempt(write, os.path.join(place, event["mark"] + ".pyc"))
    return {"leaked": False, "detail": "whether a file stays is seen from outside"}


def write(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "xb") as file:
        file.write(b"poison")
