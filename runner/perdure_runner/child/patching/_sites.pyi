"""The fast paths of call sites, in C. See sites_compiled.py and _sites.h."""

from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

MARK: Final[str]
"""The attribute of functions that ends what is known of them."""

class CallGuard:
    """Knows internal callees; asks ``self._decide(f)`` about others."""

    def call(self, f: Any, /) -> Any:
        """What to call for `f`."""

    def remember(self, f: Any, marked: FunctionType | None, /) -> None:
        """Calls of `f` are internal until `marked` has a mark; None: until what a guard sees by itself changes."""

class MethodGuard:
    """Knows internal methods of its name; asks ``self._decide(o, type(o), o.m)`` about others.

    If fetching the method raises an error, it returns what ``self._raising(error)`` does.
    """

    def __init__(self, name: str, /) -> None: ...
    def method(self, o: Any, /) -> Any:
        """An object that has the method to call for `o`."""

    def remember(self, o: Any, found: Any, f: Any, marked: FunctionType | None, /) -> None:
        """The method `f` of `o` is internal until `marked` has a mark, and fetching it runs no user code.

        `found` is what o's class has under the name (or `o` itself, a class or module); None: it is the instance's own.
        `f` is None for a method of C's that nothing but a change of the class can replace.
        """

class Prepared:
    """Called with some arguments, it calls what ``prepare(*args, **kwargs)`` says instead, without a Python frame."""

    def __init__(
        self, prepare: Callable[..., tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]], /
    ) -> None: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...
