"""Which policy an activity has: its decorator's, completed by the first rule of the manifest that names it."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from perdure import ActivityOptions, RetryPolicy

_DEFAULT = ActivityOptions()


class Rules:
    """The manifest's rules, as the `start` frame brings them.

    Args:
        rules: objects with `pattern` (matched against qualified names, "requests.*"), and, where set, `retry`
            (fields of `RetryPolicy`), `timeout_s`, `at_most_once`, `no_activity`.
    """

    def __init__(self, rules: Sequence[dict[str, Any]]) -> None:
        self._rules = tuple(
            (
                rule["pattern"],
                ActivityOptions(
                    retry=RetryPolicy.from_json(rule["retry"]) if rule.get("retry") else None,
                    timeout=rule.get("timeout_s") or None,
                    at_most_once=bool(rule.get("at_most_once")),
                ),
            )
            for rule in rules
        )
        self.no_activity = tuple(rule["pattern"] for rule in rules if rule.get("no_activity"))
        """Patterns of functions that run unrecorded."""
        self._named = functools.lru_cache(maxsize=1024)(self._find)

    def options(self, f: Callable[..., Any], name: str) -> ActivityOptions:
        """The options of activity `f`, whose qualified name is `name`."""
        rule = self._named(name)
        mark = mark_of(f)
        if mark is None or rule is _DEFAULT:
            return mark or rule
        return dataclasses.replace(
            mark,
            retry=mark.retry or rule.retry,
            timeout=mark.timeout or rule.timeout,
            at_most_once=mark.at_most_once or rule.at_most_once,
        )

    def _find(self, name: str) -> ActivityOptions:
        return next((options for pattern, options in self._rules if fnmatchcase(name, pattern)), _DEFAULT)


def mark_of(f: Callable[..., Any]) -> ActivityOptions | None:
    """What `@perdure.activity` has put on a function, method or class. Runs no user code."""
    if isinstance(f, types.MethodType):
        f = f.__func__
    dicts = [c.__dict__ for c in type.__dict__["__mro__"].__get__(f)] if issubclass(type(f), type) else []
    if type(f) is types.FunctionType:
        dicts = [f.__dict__]
    for namespace in dicts:
        if isinstance(mark := namespace.get("__perdure_activity__"), ActivityOptions):
            return mark
    return None
