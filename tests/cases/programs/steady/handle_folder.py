"""A temporary folder with files in it: after a crash it is the same folder, and never a second one, but for one that
was being made just then."""

import os
import tempfile

import web


def main(event):
    with tempfile.TemporaryDirectory(dir=event["dir"]) as folder:
        path = os.path.join(folder, "a.txt")
        with open(path, "w") as stream:
            stream.write("kept")
        answer = web.get(event["url"] + "/between")
        inside = [os.listdir(folder), len(os.listdir(event["dir"]))]
        with open(path) as stream:
            text = stream.read()
    return [answer, inside, text, len(os.listdir(event["dir"]))]


CASE = {
    "result": ["between", [["a.txt"], 1], "kept", 0],
    "alternative": ["between", [["a.txt"], 2], "kept", 1],
    "effects": 1,
}
