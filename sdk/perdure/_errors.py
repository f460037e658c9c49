"""What perdure raises in user code. Each error has a stable code, and one line of help."""

# ruff: noqa: N818 - the names are the public contract and say what happened


class Error(Exception):
    """Base of perdure's own errors.

    `code` is the error's stable number (`perdure explain CODE` prints the long form); `help` says what to do.
    """

    __module__ = "perdure"
    code: str = ""
    help: str = ""

    def __init__(self, message: str = "", *, help: str | None = None) -> None:  # noqa: A002 - the word users read
        super().__init__(message)
        if help is not None:
            self.help = help

    def __str__(self) -> str:
        # Not OSError's form, which ActivityTimeout would inherit.
        return str(self.args[0]) if self.args else ""


class NotInSession(Error, RuntimeError):
    """This works only while perdure runs the code, or only inside an activity."""

    __module__ = "perdure"
    help = "Run the handler with `perdure run FILE.py:HANDLER`, or test it with perdure.testing."


class UnrecordableValue(Error):
    """A value cannot be written to the journal."""

    __module__ = "perdure"
    code = "P0401"
    help = (
        "Move the code that uses it into a function marked @perdure.activity that returns plain data "
        "(text, numbers, lists, dicts, dataclasses)."
    )


class ValueTooLarge(Error):
    """A recorded value is larger than the limit on payloads."""

    __module__ = "perdure"
    code = "P0402"
    help = (
        "Store the data outside (a file, a bucket, a table) inside a function marked @perdure.activity and return "
        "where it is, or raise `limits: payload` in perdure.yaml."
    )


class InPlaceChange(Error):
    """An activity changed one of its arguments in place in a way that cannot be recorded."""

    __module__ = "perdure"
    code = "P0403"
    help = (
        "Hand over a copy and let the function return the new value: this object keeps its state where only its "
        "constructor can set it, or it holds what is no value now."
    )


class ConcurrencyError(Error):
    """Threads, tasks, signals or finalizers were used in a way that cannot be recorded."""

    __module__ = "perdure"
    code = "P0404"
    help = (
        "Run tasks with asyncio.run(), let threads wait with join, locks, events or queues, or move the concurrent "
        "part into one function marked @perdure.activity."
    )


class PayloadCorrupt(Error):
    """A recorded value is not what this session wrote, or cannot be rebuilt from what it wrote."""

    __module__ = "perdure"
    code = "P0405"
    help = "The journal was changed from outside. Restore it from a backup, or start the session anew."


class ActivityInterrupted(Error):
    """An `at_most_once` activity was in progress when its process died: nobody knows whether it took effect."""

    __module__ = "perdure"
    code = "P0410"
    help = "Find out from the other side whether the call took effect, then go on or call again."


class ActivityTimeout(Error, TimeoutError):
    """An activity took longer than its `timeout`."""

    __module__ = "perdure"
    code = "P0411"
    help = "Raise the activity's timeout, or retry it with perdure.RetryPolicy."


class RequestRefused(Error):
    """The coordinator did not do what was asked of it, and has changed nothing; `code` says why."""

    __module__ = "perdure"
    help = "`perdure explain CODE` tells more."

    def __init__(self, message: str = "", *, code: str = "", help: str | None = None) -> None:  # noqa: A002 - as above
        super().__init__(message, help=help)
        self.code = code


class Cancelled(BaseException):
    """The session is being stopped. Clean up and let it pass; like KeyboardInterrupt it is no `Exception`."""

    __module__ = "perdure"
