"""Files written and read inside activities; paths and listings as calls of user code itself."""

import os
import shutil
from pathlib import Path

import perdure


@perdure.activity
def write(path, text):
    with open(path, "w") as stream:
        return stream.write(text)


@perdure.activity
def read_lines(path):
    with open(path) as stream:
        return [line.rstrip() for line in stream]


def main(event):
    folder = Path(event["dir"])
    sizes = [write(folder / name, f"{name}\nsecond") for name in ("a.txt", "b.txt")]
    copied = shutil.copyfile(folder / "a.txt", folder / "c.txt")
    listed = sorted(os.listdir(folder))
    text = (folder / "b.txt").read_text()
    return [sizes, copied.name, listed, text, read_lines(str(copied)), os.path.exists(folder / "d"), copied.suffix]


CASE = {
    "result": [
        [12, 12],
        "c.txt",
        ["a.txt", "b.txt", "c.txt"],
        "b.txt\nsecond",
        ["a.txt", "second"],
        False,
        ".txt",
    ],
    "effects": 0,
}
