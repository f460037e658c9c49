"""From an entry point to a callable: import the user's module, find the handler, make its arguments."""

from __future__ import annotations

import importlib
import inspect
import os
import traceback
import types
from collections.abc import Callable
from typing import Any

import perdure


class EntryError(perdure.Error):
    """The entry point does not lead to a handler. Ours to say, the user's to mend."""

    def __init__(self, code: str, message: str, help_: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.help = help_


def parse_entry(entry: str) -> tuple[str, str]:
    """`"pkg/file.py:handler"` -> `("pkg.file", "handler")`.

    Raises:
        EntryError: P0114, the text has another form.
    """
    path, _, name = entry.partition(":")
    if not path.endswith(".py") or not name.isidentifier():
        raise EntryError("P0114", f"{entry!r} is no entry point", "write it as FILE.py:HANDLER")
    module = path[: -len(".py")].replace("/", ".")
    return module.removesuffix(".__init__"), name


def load(module: str, root: str) -> types.ModuleType:
    """Import the user's module.

    Raises:
        EntryError: P0110 no such file, P0113 a syntax error, P0301 a package is missing, P0302 the module failed.
        perdure.Cancelled, perdure.Error: as user code raised them.
    """
    path = os.path.join(root, *module.split("."))
    if not (os.path.isfile(path + ".py") or os.path.isdir(path)):
        raise EntryError("P0110", f"there is no {module.replace('.', '/')}.py in this build")
    try:
        return importlib.import_module(module)
    except SyntaxError as error:
        raise EntryError("P0113", _syntax_error(error, root)) from error
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        message = f"{error}, imported by {_importer(error, root)}"
        help_ = f"add {package!r} to the project's requirements.txt, or install it where the runners' python finds it"
        raise EntryError("P0301", message, help_) from error


def find(module: types.ModuleType, name: str) -> Callable[..., Any]:
    """The handler.

    Raises:
        EntryError: P0111 there is none of this name, P0112 it is no function.
    """
    try:
        handler = vars(module)[name]
    except KeyError:
        names = [n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        import difflib

        close = difflib.get_close_matches(name, names, 1)
        help_ = f"did you mean {close[0]!r}?" if close else f"its functions are: {', '.join(names) or 'none'}"
        raise EntryError("P0111", f"{module.__name__} has no handler {name!r}", help_) from None
    if not (inspect.isroutine(handler) or isinstance(handler, type) or _is_callable_object(handler)):
        raise EntryError("P0112", f"{name!r} in {module.__name__} is a {type(handler).__name__}, not a function")
    return handler  # type: ignore[no-any-return]


def _is_callable_object(value: object) -> bool:
    return any("__call__" in c.__dict__ for c in type(value).__mro__)


def arguments(handler: Callable[..., Any], event: Any) -> tuple[Any, ...]:
    """The handler's positional arguments: the event, unless the handler takes none."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return (event,)
    takes = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    return (event,) if any(p.kind in takes for p in parameters) else ()


def is_about_user_code(failure: BaseException) -> bool:
    """Errors that name their place themselves although no frame of user code is on the traceback."""
    return isinstance(failure, (SyntaxError, ImportError, RecursionError))


def _syntax_error(error: SyntaxError, root: str) -> str:
    file = error.filename or "?"
    if file.startswith(root + os.sep):
        file = file[len(root) + 1 :]
    text = (error.text or "").rstrip("\n")
    caret = " " * max((error.offset or 1) - 1, 0) + "^"
    return f"{file}:{error.lineno}:{error.offset} {error.msg}\n    {text}\n    {caret}"


def _importer(error: BaseException, root: str) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(root + os.sep)]
    return f"{frames[-1].filename[len(root) + 1 :]}:{frames[-1].lineno}" if frames else "the entry point"
