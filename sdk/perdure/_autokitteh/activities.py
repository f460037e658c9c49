"""What is recorded as a whole, and what is not recorded."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from perdure import _activity
from perdure._activity import activity

__all__ = ["activity", "inhibit_activities", "register_no_activity"]

F = TypeVar("F", bound=Callable[..., Any])


def inhibit_activities(fn: F) -> F:
    """Run the function, and all that it calls, directly; replay runs it again."""

    @functools.wraps(fn)
    def directly(*args: Any, **kwargs: Any) -> Any:
        with _activity.inhibit_activities():
            return fn(*args, **kwargs)

    @functools.wraps(fn)
    async def directly_async(*args: Any, **kwargs: Any) -> Any:
        with _activity.inhibit_activities():
            return await fn(*args, **kwargs)

    return directly_async if inspect.iscoroutinefunction(fn) else directly  # type: ignore[return-value]


def register_no_activity(items: Iterable[Callable[..., Any]]) -> None:
    """Run these functions, and the methods of these classes, directly."""
    _activity.register_no_activity(*items)
