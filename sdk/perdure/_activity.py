"""Marks on functions: what is an activity, how it is run, and what is none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any, TypeVar, overload

from perdure import _runtime
from perdure._durations import seconds_of
from perdure._retry import RetryPolicy

T = TypeVar("T")
MARK = "__perdure_activity__"


@dataclass(frozen=True)
class ActivityOptions:
    """How an activity is run.

    retry: None means that its exceptions go to the caller at once.
    timeout: seconds that one attempt may take; None means no limit.
    at_most_once: after a crash in the middle it is not run again; the caller gets perdure.ActivityInterrupted.
    name: what it is called in the journal, instead of its qualified name.
    """

    retry: RetryPolicy | None = None
    timeout: float | None = None
    at_most_once: bool = False
    name: str | None = None


@overload
def activity(function: T, /) -> T: ...
@overload
def activity(
    *,
    retry: RetryPolicy | int | None = None,
    timeout: float | timedelta | None = None,
    at_most_once: bool = False,
    name: str | None = None,
) -> Callable[[T], T]: ...
def activity(
    function: Any = None,
    /,
    *,
    retry: RetryPolicy | int | None = None,
    timeout: float | timedelta | None = None,
    at_most_once: bool = False,
    name: str | None = None,
) -> Any:
    """Mark a function, method or class: each call is recorded as a whole and never repeated once it has completed.

    Use it bare (`@perdure.activity`) or with options. `retry` is a RetryPolicy, or the number of attempts in all;
    `timeout` is in seconds or a timedelta, per attempt. A marked class is an activity where it is constructed.
    The function itself is returned, not a wrapper. Raises TypeError or ValueError for options that make no sense.
    """
    options = ActivityOptions(
        retry=_retry(retry),
        timeout=None if timeout is None else seconds_of("activity: timeout", timeout, positive=True),
        at_most_once=_flag("at_most_once", at_most_once),
        name=_name(name),
    )
    if options.at_most_once and options.retry is not None and options.retry.max_attempts != 1:
        raise ValueError("activity: at_most_once and retry exclude each other")
    if function is None:
        return lambda marked: _mark(marked, options)
    return _mark(function, options)


def no_activity(function: T, /) -> T:
    """Mark a function, method or class: it always runs directly, and is never recorded as a whole."""
    return _mark(function, None)


def register_no_activity(*things: Callable[..., Any] | ModuleType | str) -> None:
    """Say of things you cannot decorate that they run directly, unrecorded, because they are deterministic.

    Each is a function, a class, a module (with all that is in it), or a pattern over qualified names such as
    "jinja2.*". Raises TypeError for anything else.
    """
    for thing in things:
        if not (callable(thing) or isinstance(thing, ModuleType) or (isinstance(thing, str) and thing)):
            raise TypeError(f"register_no_activity takes functions, classes, modules or name patterns, not {thing!r}")
    for thing in things:
        _runtime.no_activity.add(thing)


@contextmanager
def inhibit_activities() -> Iterator[None]:
    """Run the calls inside the `with` block directly, unrecorded; also those of tasks that it creates. May be nested.

    Other threads, and tasks that run while the block awaits, are recorded as ever.
    """
    depth = _runtime.inhibit.get()
    _runtime.inhibit.set(depth + 1)
    try:
        yield
    finally:
        _runtime.inhibit.set(depth)


def _retry(retry: object) -> RetryPolicy | None:
    if retry is None or isinstance(retry, RetryPolicy):
        return retry
    if isinstance(retry, int) and not isinstance(retry, bool):
        if retry < 1:
            raise ValueError(f"activity: retry is the number of attempts in all, at least 1, not {retry!r}")
        return RetryPolicy(max_attempts=retry)
    raise TypeError(f"activity: retry must be a perdure.RetryPolicy or a number of attempts, not {retry!r}")


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"activity: {name} must be True or False, not {value!r}")
    return value


def _name(name: object) -> str | None:
    if name is None or (isinstance(name, str) and name):
        return name
    raise TypeError(f"activity: name must be a text that is not empty, not {name!r}")


def _mark(thing: T, options: ActivityOptions | None) -> T:
    """Set the mark on `thing`, and on the function inside a staticmethod or classmethod: calls see only that one."""
    inner = thing.__func__ if isinstance(thing, staticmethod | classmethod) else thing
    if not callable(inner):
        raise TypeError(f"activity marks take functions, methods and classes, not {thing!r}")
    try:
        for target in (inner, thing):
            setattr(target, MARK, options)
    except (AttributeError, TypeError):
        raise TypeError(
            f"{thing!r} takes no marks: call it in your own function, or name it under `activities:` in perdure.yaml"
        ) from None
    return thing
