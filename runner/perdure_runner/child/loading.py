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

from perdure_runner.child import missing


class EntryError(perdure.Error):
    """The entry point does not lead to a handler that can be called. Ours to say, the user's to mend."""


class EntryPointError(EntryError):
    """The text is no entry point."""

    code = "P0114"
    help = "Write it as FILE.py:HANDLER."


class NoModuleError(EntryError):
    """The build has no such file."""

    code = "P0110"


class NoHandlerError(EntryError):
    """The module has no such name."""

    code = "P0111"


class NotAHandlerError(EntryError):
    """The name is no function."""

    code = "P0112"
    help = "An entry point names a function or a class of the module."


class BadSyntaxError(EntryError):
    """A file of the build cannot be compiled."""

    code = "P0113"


class MissingPackageError(EntryError):
    """User code imports what is not there."""

    code = "P0301"


def parse_entry(entry: str) -> tuple[str, str]:
    """`"pkg/file.py:handler"` -> `("pkg.file", "handler")`.

    Raises:
        EntryPointError: the text has another form.
    """
    path, _, name = entry.partition(":")
    if not path.endswith(".py") or not name.isidentifier():
        raise EntryPointError(f"{entry!r} is no entry point")
    module = path[: -len(".py")].replace("/", ".")
    return module.removesuffix(".__init__"), name


def load(module: str, root: str) -> types.ModuleType:
    """Import the user's module.

    Raises:
        NoModuleError, BadSyntaxError, MissingPackageError: as their names say; and whatever the module itself raises.
    """
    path = os.path.join(root, *module.split("."))
    if not (os.path.isfile(path + ".py") or os.path.isdir(path)):
        raise NoModuleError(f"there is no {module.replace('.', '/')}.py in this build")
    try:
        return importlib.import_module(module)
    except SyntaxError as error:
        raise BadSyntaxError(_syntax_error(error, root)) from error
    except ModuleNotFoundError as error:
        message = f"{error}, imported by {_importer(error, root)}"
        raise MissingPackageError(message, help=missing.remedy(error, root)) from error


def find(module: types.ModuleType, name: str) -> Callable[..., Any]:
    """The handler.

    Raises:
        NoHandlerError, NotAHandlerError: there is none of this name; it is no function.
    """
    try:
        handler = vars(module)[name]
    except KeyError:
        names = [n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        import difflib

        close = difflib.get_close_matches(name, names, 1)
        help_ = f"Did you mean {close[0]!r}?" if close else f"Its functions are: {', '.join(names) or 'none'}"
        raise NoHandlerError(f"{module.__name__} has no handler {name!r}", help=help_) from None
    if not (inspect.isroutine(handler) or isinstance(handler, type) or _is_callable_object(handler)):
        raise NotAHandlerError(f"{name!r} in {module.__name__} is a {type(handler).__name__}, not a function")
    return handler  # type: ignore[no-any-return]


def _is_callable_object(value: object) -> bool:
    return any("__call__" in c.__dict__ for c in type(value).__mro__)


def arguments(handler: Callable[..., Any], event: Any) -> tuple[Any, ...]:
    """The handler's positional arguments: the event, unless the handler takes none."""
    if type(handler) is types.FunctionType and not vars(handler):  # a plain one: `inspect` would say the same, slowly
        code = handler.__code__
        return (event,) if code.co_argcount or code.co_flags & inspect.CO_VARARGS else ()
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
