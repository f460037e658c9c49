"""Live objects that no journal can hold: how those of your own classes, or of a library, are made again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

from perdure._activity import MARK, ActivityOptions
from perdure._errors import Error

T = TypeVar("T", bound=type)
Recreate = Callable[..., object] | Literal["again", "reapply"] | None


class HandleLost(Error):  # noqa: N818 - the names are the public contract and say what happened
    """A live object was made by a process that is gone, and making it again could be wrong."""

    __module__ = "perdure"
    code = "P0406"
    help = (
        "Make it again yourself where you catch this, or do all of the work with it inside one function marked "
        "@perdure.activity, or say how it is made again with perdure.register_handle(TYPE, recreate=...)."
    )


@dataclass(frozen=True)
class HandleOptions:
    """How a class's objects are kept across restarts: what `perdure.handle` and `perdure.register_handle` were told."""

    recreate: Recreate = None
    cheap: frozenset[str] = frozenset()


registered: dict[str, HandleOptions] = {}
"""By dotted name of the class, "module.Outer.Inner"."""


@overload
def handle(cls: T, /) -> T: ...
@overload
def handle(*, recreate: Recreate = None, cheap: Iterable[str] = ()) -> Callable[[T], T]: ...
def handle(cls: Any = None, /, *, recreate: Recreate = None, cheap: Iterable[str] = ()) -> Any:
    """Mark a class of your own whose objects are live: connections, clients, locks.

    Making one is an activity, and so is every call of its methods; `cheap` names the methods that only look, which are
    recorded without waiting. After a crash the object is made again when it is first needed: with `recreate="again"`
    by the same call, with "reapply" also by doing all recorded operations again (right for what lives in memory only),
    with a function by calling that with the same arguments. Without `recreate` its use raises `perdure.HandleLost`.
    Raises TypeError for what is no class. The class itself is returned.
    """
    if cls is None:
        return lambda marked: handle(marked, **_one(recreate, cheap))
    register_handle(cls, **_one(recreate, cheap))
    setattr(cls, MARK, ActivityOptions())
    return cls


def register_handle(thing: type | str, /, *, recreate: Recreate = None, cheap: Iterable[str] = ()) -> None:
    """Say of a class that you cannot decorate, or of its dotted name, that its objects are live. See `perdure.handle`.

    Its methods are then activities of their own, and `cheap` ones are not waited for. It holds for subclasses too.
    Raises TypeError for anything that is neither a class nor a name, ValueError for an unknown way to `recreate`.
    """
    if isinstance(thing, type):
        name = f"{thing.__module__}.{thing.__qualname__}"
    elif isinstance(thing, str) and thing:
        name = thing
    else:
        raise TypeError(f"handles are told by a class or its dotted name, not by {thing!r}")
    if not (recreate is None or callable(recreate) or recreate in ("again", "reapply")):
        raise ValueError(f"recreate must be a function, 'again', 'reapply' or None, not {recreate!r}")
    registered[name] = HandleOptions(recreate, frozenset(cheap))


def _one(recreate: Recreate, cheap: Iterable[str]) -> dict[str, Any]:
    return {"recreate": recreate, "cheap": tuple(cheap)}
