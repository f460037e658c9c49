"""Operations on live objects: each is a call of the journal, an activity or, where it is cheap, a marker."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import perdure

from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.handles import recreate
from perdure_runner.child.handles.handle import GONE, Done, Handle
from perdure_runner.child.handles.outcomes import Ended, Told
from perdure_runner.child.handles.registry import ENDS, LOOKS, is_cheap, is_redone
from perdure_runner.child.values import codec

_ENTERS: Final = frozenset({"__enter__", "__aenter__"})
COROUTINES: Final = frozenset({"__aenter__", "__aexit__"})
"""Operators whose result is awaited."""


@functools.cache
def caller(name: str) -> Callable[..., Any]:
    """`object.name(...)` as a function; operators are looked up in the class, as the interpreter does."""
    if name.startswith("__") and name.endswith("__"):
        return lambda live, /, *args, **kwargs: getattr(type(live), name)(live, *args, **kwargs)
    return lambda live, /, *args, **kwargs: getattr(live, name)(*args, **kwargs)


async def awaited(live: Any) -> Any:
    """The result of an awaitable object."""
    return await live


class Run:
    """What the recorder runs for an operation: it gets the live object in place of the proxy, which comes first.

    `part`: the result is an attribute, so that a mutable object is a part of this one and no copy.
    """

    __slots__ = ("_f", "handle", "name", "part", "value")

    def __init__(self, handle: Handle, name: str, f: Callable[..., Any], *, part: bool = False) -> None:
        self._f = f
        self.handle = handle
        self.name = name
        self.part = part
        self.value: Any = GONE
        """The result of the last run, if it is an attribute."""

    @speaks_for_others
    def __call__(self, _proxy: Any, /, *args: Any, **kwargs: Any) -> Any:
        live = recreate.live(self.handle)
        return self._finished(live, self._run(live, args, kwargs))

    def again(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The bare result, for who makes again what came out of it."""
        return self._run(recreate.live(self.handle), args[1:], kwargs)

    def _run(self, live: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = self.handle.table.unwrap(args, kwargs)
        return self._f(live, *args, **kwargs)

    def _finished(self, live: Any, value: Any) -> Any:
        handle = self.handle
        kind = handle.kind
        if kind.flush and not is_cheap(kind, self.name) and not getattr(live, "closed", False):
            getattr(live, kind.flush)()
        if self.part:
            self.value = value
        facts = handle.changed_facts(live) if kind.facts else {}
        if self.name not in LOOKS and not self.part:
            facts |= handle.table.changed_state(handle.root)
        if facts or (self.part and self.name in kind.parts):
            return Told(value, facts)
        return value


class RunAsync(Run):
    """As `Run`, of an operation whose result is awaited."""

    __slots__ = ()

    async def __call__(self, _proxy: Any, /, *args: Any, **kwargs: Any) -> Any:
        live = await recreate.live_async(self.handle)
        return self._finished(live, await self._run(live, args, kwargs))


@speaks_for_others
def call(handle: Handle, name: str, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operation `f(live object, *args, **kwargs)`, recorded; `name` is what it does."""
    table = handle.table
    run = Run(handle, name, f)
    if table.recorder.direct():
        return run.again((None, *args), kwargs)
    record = table.recorder.marker if is_cheap(handle.kind, name) else table.recorder.perform
    try:
        result = record(f"{handle.name}.{name}", run, None, (table.proxy(handle), *args), kwargs)
    except Exception:
        _happened(handle, name, f, args, kwargs, GONE)
        raise
    return _happened(handle, name, f, args, kwargs, result)


@speaks_for_others
async def call_async(
    handle: Handle, name: str, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """As `call`, of an operation that is awaited."""
    table = handle.table
    run = RunAsync(handle, name, f)
    if table.recorder.direct():
        return await run.again((None, *args), kwargs)
    try:
        result = await table.recorder.perform_async(
            f"{handle.name}.{name}", run, None, (table.proxy(handle), *args), kwargs
        )
    except Exception:
        _happened(handle, name, f, args, kwargs, GONE)
        raise
    return _happened(handle, name, f, args, kwargs, result)


@speaks_for_others
def get(handle: Handle, name: str) -> Any:
    """An attribute that is no method of the class."""
    table = handle.table
    if table.recorder.direct():
        return getattr(recreate.live(handle), name)
    properties = handle.shape.names.properties
    cheap = handle.kind.looks or not (name in properties or "__getattr__" in properties)
    record = table.recorder.marker if cheap else table.recorder.perform
    return _told(handle, record(f"{handle.name}.{name}", _Get(handle, name), None, (table.proxy(handle),), {}))


class _Get(Run):
    __slots__ = ()

    def __init__(self, handle: Handle, name: str) -> None:
        super().__init__(handle, name, lambda live: getattr(live, name), part=True)

    def __call__(self, _proxy: Any, /) -> Any:
        handle = self.handle
        if handle.live is GONE and self.name in handle.facts:
            return handle.facts[self.name]
        return super().__call__(_proxy)


def call_or(handle: Handle, name: str, f: Callable[..., Any], args: tuple[Any, ...], otherwise: str) -> Any:
    """As `call`, with a result for an object that is lost."""
    try:
        return call(handle, name, f, args, {})
    except perdure.HandleLost:
        return otherwise


@speaks_for_others
def step(handle: Handle) -> Any:
    """The next item. Raises StopIteration."""
    result = call(handle, "__next__", _next_of, (), {})
    if type(result) is Ended:
        raise StopIteration(result.value) if result.value is not None else StopIteration
    return result


def _next_of(live: Any) -> Any:
    try:
        return next(live)
    except StopIteration as end:
        return Ended(end.value)


@speaks_for_others
async def step_async(handle: Handle) -> Any:
    """The next item. Raises StopAsyncIteration."""
    result = await call_async(handle, "__anext__", _anext_of, (), {})
    if type(result) is Ended:
        raise StopAsyncIteration
    return result


async def _anext_of(live: Any) -> Any:
    try:
        return await anext(live)
    except StopAsyncIteration:
        return Ended()


def _happened(
    handle: Handle, name: str, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> Any:
    """Remember what must be known when the object is made again. Returns what user code gets."""
    result = _told(handle, result)
    handle.ended = handle.ended or type(result) is Ended or name in {"close", "aclose"}
    if (owner := handle.transaction()) is not None and not is_cheap(handle.kind, name) and name not in _ENTERS:
        owner.pending = not (handle is owner and name in ENDS)
    root = handle.root
    if root.live is GONE and is_redone(root.kind if root.kind.whole else handle.kind, name):
        made = handle.table.handle_of(result)
        seen = None if result is GONE or made else codec.fingerprint(result)
        root.done.append(Done(handle, name, f, args, kwargs, seen, made))
    return result


def _told(handle: Handle, result: Any) -> Any:
    if type(result) is Told:
        handle.learn(result.facts)
        return result.value
    return result
