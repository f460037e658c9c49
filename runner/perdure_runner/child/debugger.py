"""A read-only replay at a terminal, with the debugger where it stops: `perdure sessions replay --pdb`."""

import os
import pdb  # noqa: T100 - starting the debugger is what this is for
import socket
import sys

from perdure_runner.child import attempts, process


def main(sock: socket.socket) -> int:
    """Replay the session that arrives on `sock`. Gives the exit code, as `process.main`."""
    return process.main(sock, debug=stop)


def stop(failure: BaseException | None) -> None:
    """A debugger at the terminal: where `failure` was raised, or in the frame of user code that made the last call."""
    here = sys._getframe()  # noqa: SLF001 - what pdb itself uses to find its caller
    root = os.getcwd() + os.sep  # a session's current folder is its build
    frame = attempts.user_frame(lambda path: path.startswith(root)) or here
    with open(0, closefd=False) as stdin, open(1, "w", closefd=False) as stdout:
        debugger = pdb.Pdb(stdin=stdin, stdout=stdout, nosigint=True)
        debugger.prompt = "(perdure) "
        debugger.reset()
        debugger.interaction(None if failure else frame, failure.__traceback__ if failure else None)
