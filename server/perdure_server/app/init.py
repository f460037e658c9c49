"""Process 1 of a container: it ends for no signal that it has no handler for, and is given every orphan to wait for.

So it is no server, but starts one, passes signals on to it, waits for whatever ends, and ends when the server does.
This file is a program of its own: it imports nothing of ours, and is small.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

_PASSED_ON: Final = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)
_HEARD: Final = _PASSED_ON | {signal.SIGCHLD}


def be_init(arguments: Sequence[str]) -> None:
    """If this is process 1: be it from now on, for another one that runs `perdure ARGUMENTS`. Else nothing happens."""
    if os.getpid() != 1:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)  # what comes meanwhile waits, over the exec, too
    command = (sys.executable, "-P", "-m", "perdure_server", *arguments)
    server = os.posix_spawn(sys.executable, command, os.environ, setsigmask=())
    os.execv(sys.executable, (sys.executable, "-I", "-S", __file__, str(server)))  # noqa: S606  # no shell is wanted


def _wait(server: int) -> NoReturn:
    while True:
        _reap(server)
        number = signal.sigwait(_HEARD)
        if number != signal.SIGCHLD:
            os.kill(server, number)


def _reap(server: int) -> None:
    """Whatever has ended; with the server, all does."""
    pid = -1
    while pid:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == server:
            code = os.waitstatus_to_exitcode(status)
            sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    _wait(int(sys.argv[1]))
