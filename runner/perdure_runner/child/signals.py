"""Signal handlers of user code.

`signal.raise_signal` is a call like any other: its handler runs at once, and replay repeats it. Everything else comes
at a moment that replay cannot find again. Inside an activity, a handler that raises decides the activity's outcome,
which is recorded. Elsewhere, or if it returns, what it did would be missing after a crash: the session ends with P0404.
"""

from __future__ import annotations

import functools
import signal
import threading
import types
from collections.abc import Callable
from typing import Any, Final, NoReturn

import perdure

from perdure_runner.child import sharing
from perdure_runner.child.blame import OURS, speaks_for_others
from perdure_runner.child.link import Link

STOP: Final = signal.SIGUSR1
"""By which the host says that it has sent a `stop`."""
_END_PROCESS: Final = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
"""What people and machines send to be rid of a process: the session goes on in another one."""
_signal = signal.signal

Handler = Callable[[int, types.FrameType | None], Any]


class Signals:
    """Installs itself, for good."""

    def __init__(
        self,
        link: Link,
        is_free: Callable[[], bool],
        is_user_file: Callable[[str], bool],
        refuse: Callable[[perdure.ConcurrencyError], NoReturn],
        refuse_later: Callable[[perdure.ConcurrencyError], None],
    ) -> None:
        """is_free: whether an activity runs. refuse: ends the session at once; refuse_later: at its next call."""
        self._link = link
        self._is_free = is_free
        self._is_user_file = is_user_file
        self._refuse = refuse
        self._refuse_later = refuse_later
        self._raised = 0
        """The signal that user code raises itself."""
        for new in (self._signal(), self._getsignal(), self._raise_signal(), self._alarm(), self._setitimer()):
            del vars(new)["__wrapped__"]  # it is judged by its name
            setattr(signal, new.__name__, new)

    # ---- the functions of `signal`

    def _signal(self) -> Callable[..., Any]:
        @functools.wraps(signal.signal)
        @speaks_for_others
        def set_handler(signalnum: int, handler: Any) -> Any:
            if signalnum == STOP:
                raise perdure.ConcurrencyError(
                    f"{STOP.name} is how perdure stops a session, so it can have no other handler",
                    help="Use another signal, such as SIGUSR2.",
                )
            if self._is_free():
                before = _signal(signalnum, handler)
            else:
                before = _users(_signal(signalnum, _Handling(handler, self) if callable(handler) else handler))
            if signalnum == sharing.SIGNAL:
                sharing.listen()
            return before

        return set_handler

    def _getsignal(self) -> Callable[..., Any]:
        real = signal.getsignal

        @functools.wraps(real)
        @speaks_for_others
        def getsignal(signalnum: int) -> Any:
            return _users(real(signalnum))

        return getsignal

    def _raise_signal(self) -> Callable[..., Any]:
        real = signal.raise_signal

        @functools.wraps(real)
        @speaks_for_others
        def raise_signal(signalnum: int, /) -> None:
            if threading.current_thread() is not threading.main_thread():
                real(signalnum)
                return
            before, self._raised = self._raised, int(signalnum)
            try:
                real(signalnum)
            finally:
                self._raised = before

        return raise_signal

    def _alarm(self) -> Callable[..., Any]:
        return self._inside_only(signal.alarm, lambda seconds: seconds)

    def _setitimer(self) -> Callable[..., Any]:
        return self._inside_only(signal.setitimer, lambda _which, seconds, _interval=0.0: seconds)

    def _inside_only(self, real: Callable[..., Any], seconds: Callable[..., float]) -> Callable[..., Any]:
        @functools.wraps(real)
        @speaks_for_others
        def timer(*args: Any) -> Any:
            if not self._is_free() and seconds(*args):
                raise perdure.ConcurrencyError(
                    f"signal.{real.__name__}() sends a signal at a moment that cannot be repeated after a crash",
                    help="Use it inside a function marked @perdure.activity, or give that function a timeout: "
                    "@perdure.activity(timeout=5).",
                )
            return real(*args)

        return timer

    # ---- a signal has come

    def handle(self, handler: Handler, number: int, frame: types.FrameType | None) -> None:
        """Called by the interpreter in the main thread, between any two instructions."""
        if number == self._raised:
            while frame is not None and frame.f_code.co_filename == __file__:
                frame = frame.f_back
            handler(number, frame)
        elif not self._link.guard.postpone(lambda: self.handle(handler, number, frame)):
            self._handle_now(handler, number, frame)

    def _handle_now(self, handler: Handler, number: int, frame: types.FrameType | None) -> None:
        if number in _END_PROCESS:
            _signal(number, signal.SIG_DFL)
            signal.pthread_kill(threading.get_ident(), number)
        else:
            self._handle_unrepeatable(handler, number, frame)

    def _handle_unrepeatable(self, handler: Handler, number: int, frame: types.FrameType | None) -> None:
        if self._is_free():
            handler(number, frame)
        error = perdure.ConcurrencyError(
            f"{signal.Signals(number).name} came at a moment that cannot be repeated, as its handler must be",
            help="Send it with signal.raise_signal(), or let the handler raise inside a function marked "
            "@perdure.activity. To tell a running session something, use perdure.next_signal().",
        )
        if self._in_user_code(frame):
            self._refuse(error)
        else:
            self._refuse_later(error)

    def _in_user_code(self, frame: types.FrameType | None) -> bool:
        """Was user code interrupted, or a library that it calls, and nothing of ours that must be finished first?"""
        while frame is not None and not self._is_user_file(frame.f_code.co_filename):
            if frame.f_code.co_filename.startswith(OURS):
                return False
            frame = frame.f_back
        return True


class _Handling:
    """What the interpreter calls instead of user code's handler."""

    def __init__(self, handler: Handler, signals: Signals) -> None:
        self.handler = handler
        self._signals = signals

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        self._signals.handle(self.handler, number, frame)


def _users(handler: Any) -> Any:
    """The handler as user code gave it."""
    return handler.handler if type(handler) is _Handling else handler
