"""A library that is not the user's, with every way there is to act on the world: one request each (`outside` makes it).

A class here keeps nothing that could be written down: its instances hold an open file.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Self

import outside


class Live:
    """A live object: it asks for `NAME` below its base."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._lock = threading.Lock()  # keeps it from being pickled

    def _ask(self, name: str) -> str:
        return outside.get(f"{self.base}/{name}")


class Door(Live):
    """A context manager, both ways."""

    def __enter__(self) -> Self:
        self._ask("enter")
        return self

    def __exit__(self, *error: object) -> bool:
        self._ask("exit")
        return isinstance(error[1], KeyError)

    async def __aenter__(self) -> Self:
        self._ask("aenter")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._ask("aexit")

    def knock(self) -> str:
        """One request."""
        return self._ask("knock")


class Shelf(Live):
    """A container and a number, all of whose operations are requests."""

    @property
    def title(self) -> str:
        return self._ask("title")

    @title.setter
    def title(self, value: str) -> None:
        self._ask(f"title-{value}")

    @title.deleter
    def title(self) -> None:
        self._ask("no-title")

    def __len__(self) -> int:
        return len(self._ask("len"))

    def __bool__(self) -> bool:
        return self._ask("bool") == "bool"

    def __contains__(self, key: object) -> bool:
        return self._ask(f"in-{key}") == "in-1"

    def __getitem__(self, key: object) -> str:
        if key == 3:
            raise IndexError(key)
        return self._ask(f"item-{key}")

    def __setitem__(self, key: object, value: object) -> None:
        self._ask(f"set-{key}-{value}")

    def __delitem__(self, key: object) -> None:
        self._ask(f"del-{key}")

    def __add__(self, other: object) -> str:
        return self._ask(f"add-{other}")

    def __radd__(self, other: object) -> str:
        return self._ask(f"radd-{other}")

    def __iadd__(self, other: object) -> Self:
        self._ask(f"iadd-{other}")
        return self

    def __neg__(self) -> str:
        return self._ask("neg")

    def __lt__(self, other: object) -> bool:
        return self._ask("lt") == "lt"

    def __format__(self, spec: str) -> str:
        return self._ask(f"format-{spec}")

    def __str__(self) -> str:
        return self._ask("str")

    def __call__(self, name: str) -> str:
        return self._ask(f"call-{name}")

    def __iter__(self) -> Iterator[str]:
        for i in range(3):
            yield self._ask(f"iter-{i}")


class Rows(Live):
    """An iterator; and an asynchronous one."""

    def __init__(self, base: str, number: int) -> None:
        super().__init__(base)
        self._left = number

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> str:
        if not self._left:
            raise StopIteration
        self._left -= 1
        return self._ask(f"row-{self._left}")

    def __aiter__(self) -> Rows:
        return self

    async def __anext__(self) -> str:
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None


def stream(url: str, number: int) -> Iterator[str]:
    """A generator."""
    for i in range(number):
        yield outside.get(f"{url}/part-{i}")


async def astream(url: str, number: int) -> AsyncIterator[str]:
    """An asynchronous generator."""
    for i in range(number):
        yield outside.get(f"{url}/part-{i}")


def conversation(url: str) -> Iterator[str]:
    """A generator that is sent things."""
    said = "start"
    while said != "stop":
        said = yield outside.get(f"{url}/said-{said}")


class Promise(Live):
    """An awaitable that is no coroutine."""

    def __await__(self) -> Iterator[Any]:
        self._ask("kept")
        yield from ()
        return "kept"


class Caller:
    """A callable object that can be pickled."""

    def __init__(self, base: str) -> None:
        self.base = base

    def __call__(self, name: str) -> str:
        return outside.get(f"{self.base}/{name}")

    def get(self, name: str) -> str:
        """A method to hand around."""
        return outside.get(f"{self.base}/{name}")


class Resource:
    """A base class for the user's own: methods that act, one that calls back, a class method, a property."""

    def __init__(self, base: str) -> None:
        self.base = base

    def fetch(self, name: str) -> str:
        """Acts."""
        return outside.get(f"{self.base}/{name}")

    def fetch_twice(self, name: str) -> str:
        """Acts through another method, which a subclass may have overridden."""
        return self.fetch(name) + self.fetch(name)

    @classmethod
    def open(cls, base: str) -> Resource:
        """Acts, and makes one."""
        outside.get(f"{base}/open")
        return cls(base)

    @staticmethod
    def ping(base: str) -> str:
        """Acts."""
        return outside.get(f"{base}/ping")

    @property
    def state(self) -> str:
        """Acts."""
        return outside.get(f"{self.base}/state")


class Registering:
    """A base class and a metaclass in one: what a class body brings about is no call of the user's."""

    made: list[str] = []  # noqa: RUF012 - a registry

    def __init_subclass__(cls, **options: object) -> None:
        Registering.made.append(cls.__name__)


def each(function: Callable[[str], Any], names: list[str]) -> list[Any]:
    """Calls what it is handed, inside: an activity as a whole."""
    return [function(name) for name in names]


def retried(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator without functools.wraps."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


def extend(url: str, names: list[str]) -> int:
    """Changes its argument in place."""
    names.append(outside.get(f"{url}/extended"))
    return len(names)


def same(url: str, thing: object) -> object:
    """Gives its argument back."""
    outside.get(f"{url}/same")
    return thing


class Trouble(Exception):
    """An exception with a constructor of its own and nothing that pickle could use."""

    def __init__(self, *, code: int, where: str) -> None:
        super().__init__(f"trouble {code}")
        self.code = code
        self.where = where
        self.lock = threading.Lock()


def fail(url: str, code: int) -> None:
    """Raises."""
    outside.get(f"{url}/fail-{code}")
    raise Trouble(code=code, where="here")


def fail_with(url: str, error: BaseException) -> None:
    """Raises what it is handed."""
    outside.get(f"{url}/fail")
    raise error


def fail_because(url: str) -> None:
    """Raises one because of another."""
    outside.get(f"{url}/fail")
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("value") from error


def fail_many(url: str) -> None:
    """Raises a group."""
    outside.get(f"{url}/fail")
    raise ExceptionGroup("many", [ValueError("one"), Trouble(code=2, where="two")])


def promise(url: str, name: str) -> Awaitable[str]:
    """No coroutine function, but gives a coroutine."""
    return outside.aget(f"{url}/{name}")
