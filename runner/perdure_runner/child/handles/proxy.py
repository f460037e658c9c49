"""What user code sees instead of a live object: the real class's methods and operators, each of them recorded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.handles import operations
from perdure_runner.child.handles.handle import Handle
from perdure_runner.child.handles.shape import Shape
from perdure_runner.child.values import inert


class Method:
    """A method of a live object: each call of it is recorded."""

    __slots__ = ("__name__", "__self__", "_handle")

    def __init__(self, handle: Handle, proxy: object, name: str) -> None:
        self.__self__ = proxy
        self.__name__ = name
        self._handle = handle

    @speaks_for_others
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        handle, name = self._handle, self.__name__
        if name in handle.shape.names.coroutines:
            return operations.call_async(handle, name, operations.caller(name), args, kwargs)
        return operations.call(handle, name, operations.caller(name), args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._handle.shape.cls, self.__name__), name)

    def __eq__(self, other: object) -> bool:
        return type(other) is Method and other._handle is self._handle and other.__name__ == self.__name__

    def __hash__(self) -> int:
        return hash((self._handle.key, self.__name__))

    def __repr__(self) -> str:
        return f"<method {self.__name__} of {describe(self._handle)}>"


class Proxy:
    """Base of all proxy classes."""

    __slots__ = ("__weakref__", "_perdure_handle", "_perdure_token")
    __perdure_handle__ = True

    @property
    def __class__(self) -> Any:
        """`isinstance` asks this."""
        return handle_of(self).shape.cls

    @__class__.setter
    def __class__(self, cls: type) -> None:
        raise TypeError(f"the class of a live object cannot be changed to {cls!r}")

    @speaks_for_others
    def __getattr__(self, name: str) -> Any:
        return operations.get(handle_of(self), name)

    @speaks_for_others
    def __setattr__(self, name: str, value: Any) -> None:
        operations.call(handle_of(self), "__setattr__", setattr, (name, value), {})

    @speaks_for_others
    def __delattr__(self, name: str) -> None:
        operations.call(handle_of(self), "__delattr__", delattr, (name,), {})

    def __hash__(self) -> int:
        return hash(handle_of(self).key)

    def __dir__(self) -> list[str]:
        return dir(handle_of(self).shape.cls)

    def __repr__(self) -> str:
        return f"<{describe(handle_of(self))}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"cannot pickle or copy a live object of {handle_of(self).name}")


handle_of: Final[Callable[[Any], Handle]] = Proxy.__dict__["_perdure_handle"].__get__
_set_handle: Final = Proxy.__dict__["_perdure_handle"].__set__
_set_token: Final = Proxy.__dict__["_perdure_token"].__set__


def is_proxy(thing: object) -> bool:
    """Does this stand for a live object?"""
    return issubclass(type(thing), Proxy)


def describe(handle: Handle) -> str:
    """For people, and the same in every run."""
    lane, ordinal, index = handle.key
    return f"{handle.name} of call {lane}/{ordinal}" + (f" ({index})" if index else "")


def proxy(handle: Handle, token: tuple[Any, ...]) -> Any:
    """The proxy of a handle: a new one."""
    made: Any = object.__new__(proxy_class(handle.shape))
    _set_handle(made, handle)
    _set_token(made, token)
    return made


@functools.cache
def proxy_class(shape: Shape) -> type:
    """The class of the proxies for objects of one real class."""
    namespace: dict[str, Any] = {"__slots__": (), "__perdure_handle__": True, "__doc__": shape.cls.__doc__}
    namespace["__module__"], namespace[inert.STANDS_FOR] = __name__, shape.name
    namespace |= {name: _method(name) for name in shape.names.methods}
    namespace |= {name: _OPERATORS.get(name, _operator)(name) for name in shape.names.operators}
    return type(shape.cls.__name__, (Proxy,), namespace)


def _method(name: str) -> property:
    return property(lambda self: Method(handle_of(self), self, name))


def _operator(name: str) -> Any:
    if name in operations.COROUTINES:
        return _coroutine_operator(name)
    f = operations.caller(name)

    @speaks_for_others
    def operator(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return operations.call(handle_of(self), name, f, args, kwargs)

    operator.__name__ = name
    return operator


def _coroutine_operator(name: str) -> Any:
    f = operations.caller(name)

    @speaks_for_others
    def operator(self: Any, /, *args: Any) -> Any:
        return operations.call_async(handle_of(self), name, f, args, {})

    operator.__name__ = name
    return operator


def _next(_name: str) -> Any:
    @speaks_for_others
    def __next__(self: Any) -> Any:  # noqa: N807
        return operations.step(handle_of(self))

    return __next__


def _anext(_name: str) -> Any:
    @speaks_for_others
    async def __anext__(self: Any) -> Any:  # noqa: N807
        return await operations.step_async(handle_of(self))

    return __anext__


def _await(_name: str) -> Any:
    @speaks_for_others
    def __await__(self: Any) -> Any:  # noqa: N807
        return operations.call_async(handle_of(self), "__await__", operations.awaited, (), {}).__await__()

    return __await__


def _equals(name: str) -> Any:
    """An object equals itself: that is not asked for."""
    f = operations.caller(name)
    same = name == "__eq__"

    @speaks_for_others
    def equals(self: Any, other: Any, /) -> Any:
        return same if self is other else operations.call(handle_of(self), name, f, (other,), {})

    equals.__name__ = name
    return equals


def _text(name: str) -> Any:
    """`repr` and `str` must not fail, because people need them most where something has failed."""
    f = operations.caller(name)

    @speaks_for_others
    def text(self: Any, /, *args: Any) -> Any:
        return operations.call_or(handle_of(self), name, f, args, f"<{describe(handle_of(self))}>")

    text.__name__ = name
    return text


_OPERATORS: Final[dict[str, Callable[[str], Any]]] = {
    "__next__": _next,
    "__anext__": _anext,
    "__await__": _await,
    "__eq__": _equals,
    "__ne__": _equals,
    "__repr__": _text,
    "__str__": _text,
    "__hash__": lambda _name: Proxy.__hash__,
}
