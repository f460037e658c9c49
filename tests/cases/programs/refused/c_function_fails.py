"""An external C function's exception has no frame of its own: it is the program's all the same."""

import os


def main(event):
    os.listdir(event["dir"] + "/missing")


CASE = {"error": "FileNotFoundError", "says": "missing"}
