"""The runner's end of `sessions replay --pdb`: a program of the child half, handed to it by its path.

The server never imports this module: the interpreter of the replay does, under the name `_perdure_debuggee` (see
foreground.py). Standard library only, besides the child half that it starts.
"""

import importlib
import os
import pdb  # noqa: T100  # starting the debugger is what this is for
import socket
import sys
from types import FrameType


def main(sock: socket.socket) -> int:
    """Replay the session that arrives on `sock`; stop in the debugger where it ends or diverges."""
    process = importlib.import_module("perdure_runner.child.process")
    code: int = process.main(sock, debug=stop)
    return code


def stop() -> None:
    """A debugger at the terminal, in the frame of user code that made the call."""
    frame = user_frame(sys._getframe())  # noqa: SLF001  # what pdb itself uses to find its caller
    with open(0, closefd=False) as stdin, open(1, "w", closefd=False) as stdout:
        debugger = pdb.Pdb(stdin=stdin, stdout=stdout, nosigint=True)
        debugger.prompt = "(perdure) "
        debugger.reset()
        debugger.interaction(frame, None)


def user_frame(frame: FrameType) -> FrameType:
    """The nearest frame of a file below the build's root, which is the current folder; else the given one."""
    found: FrameType | None = frame
    root = os.getcwd() + os.sep
    while found is not None and not found.f_code.co_filename.startswith(root):
        found = found.f_back
    return found or frame
