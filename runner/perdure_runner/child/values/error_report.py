"""An exception as people are told of it: the `err` object of the `done` frame."""

import linecache
from collections.abc import Callable

import perdure

from perdure_runner.child.restore import Frame
from perdure_runner.child.values import inert
from perdure_runner.child.values.errors_codec import frames_of

_MESSAGE_LIMIT = 10_000  # characters
_SOURCE_LIMIT = 500  # characters

_ReportFrame = list[str | int]  # file, line, function, column (from 1; 0: unknown), source line


def error_info(
    error: BaseException, is_user_file: Callable[[str], bool], relative: Callable[[str], str]
) -> dict[str, object]:
    """`{type, message, code, help, tb}`; `tb` is outermost first, without perdure's own frames, and bounded.

    is_user_file(file) tells the user's files from libraries; relative(file) gives the name to show for the former.
    Runs the exception's own `__str__`.
    """
    kind = type(error)
    own = issubclass(kind, perdure.Error)
    frames = [
        _report(frame, relative(frame[0]) if is_user_file(frame[0]) else frame[0])
        for frame in frames_of(BaseException.__dict__["__traceback__"].__get__(error))
    ]
    if issubclass(kind, SyntaxError):
        frames += _syntax_error_place(error, is_user_file, relative)
    return {
        "type": inert.type_name(kind),
        "message": _message(error),
        "code": getattr(error, "code", "") if own else "",
        "help": getattr(error, "help", "") if own else "",
        "tb": frames,
    }


def _message(error: BaseException) -> str:
    try:
        message = str.__str__(str(error))  # __str__ may answer with a subclass of str
    except Exception as failure:  # noqa: BLE001 - the user's __str__
        return f"<no message: its str() raised {inert.type_name(type(failure))}>"
    return message[:_MESSAGE_LIMIT]


def _report(frame: Frame, shown_file: str) -> _ReportFrame:
    file, name, _module, line, _end_line, column, _end_column = frame
    source = linecache.getline(file, line)
    characters = 0 if column is None else len(source.encode()[:column].decode(errors="replace")) + 1
    return [shown_file, line, name, characters, source.strip()[:_SOURCE_LIMIT]]


def _syntax_error_place(
    error: BaseException, is_user_file: Callable[[str], bool], relative: Callable[[str], str]
) -> list[_ReportFrame]:
    """Where the parser stopped, as if it were a frame."""
    assert isinstance(error, SyntaxError)
    file, line, column, text = error.filename, error.lineno, error.offset, error.text
    if type(file) is not str or type(line) is not int:
        return []
    source = text if type(text) is str else linecache.getline(file, line)
    shown = relative(file) if is_user_file(file) else file
    return [[shown, line, "<module>", column if type(column) is int else 0, source.strip()[:_SOURCE_LIMIT]]]
