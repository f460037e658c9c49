"""Code that other sessions will import: perdure's, the interpreter's, the installed packages'. Nothing is changed."""

import os
import sys

import perdure
from probing import may_open, verdict


def main(event):
    files = {os.__file__, perdure.__file__, sys.modules["__main__"].__file__ or os.__file__, event["paths"]["package"]}
    found = [path for path in files if may_open(path, os.O_RDWR)]
    for folder in {os.path.dirname(path) for path in files} | {*filter(os.path.isdir, sys.path)} | {"/usr/bin"}:
        path = os.path.join(folder, event["mark"] + ".txt")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except OSError:
            continue
        os.unlink(path)
        if folder != os.getcwd():
            found.append(folder)
    return verdict(found)
