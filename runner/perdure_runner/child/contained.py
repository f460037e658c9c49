"""A zygote that lives in a container of its own: how it comes to its host, and how it is safe from its runner."""

import ctypes
import os
import socket
from collections.abc import Callable, Sequence

from perdure_runner.child.pages import Span

_PR_SET_DUMPABLE = 4  # linux/prctl.h

Main = Callable[[socket.socket], int]
Learn = Callable[[], Sequence[Span]]


def connect(path: str) -> socket.socket:
    """Connect to the host's listener.

    Raises:
        OSError: it is not there, or the host is gone.
    """
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.connect(path)
    return control


def guarded(main: Main) -> Main:
    """Keep the runner out of the memory of this process, whose user it shares; give what to call in the runner.

    What a process of the same user may see of another one in /proc, its memory included, hangs on this one attribute.
    """
    _set_dumpable(False)

    def run(connection: socket.socket) -> int:
        _set_dumpable(True)
        return main(connection)

    return run


def before_runners(learn: Learn) -> Learn:
    """Let `learn` see its own memory in /proc, which `guarded` keeps even from this process: there is no runner yet."""

    def look() -> Sequence[Span]:
        _set_dumpable(True)
        try:
            return learn()
        finally:
            _set_dumpable(False)

    return look


def _set_dumpable(dumpable: bool) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
