"""Tokens for live objects: how handles are named in recorded outcomes, and found again by their names."""

from __future__ import annotations

import threading
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import perdure
from perdure import _handle

from perdure_runner.child.handles import proxy as proxies
from perdure_runner.child.handles import registry, shape
from perdure_runner.child.handles.handle import GONE, STATE, Handle, Key, Recipe
from perdure_runner.child.handles.judging import NEVER, is_data, is_live_class
from perdure_runner.child.handles.operations import Run
from perdure_runner.child.handles.recreate import live
from perdure_runner.child.patching.sites import SiteInfo
from perdure_runner.child.values.fingerprint import only_atoms
from perdure_runner.child.values.references import References, Token

if TYPE_CHECKING:
    from perdure_runner.child.calls import Calls
    from perdure_runner.child.policy.policy import Policy
    from perdure_runner.child.recorder import Recorder

_HANDLE: Final = "handle"
_METHOD: Final = "method"
_LOCK: Final = "lock"
_LOCKS: Final[dict[str, Callable[[], object]]] = {"Lock": threading.Lock, "RLock": threading.RLock}
_MAX_STATE: Final = 1 << 20  # bytes; larger objects are not pickled after each operation
_MAX_DEPTH: Final = 4  # containers in each other whose proxies are unwrapped
_BOUND: Final = frozenset({types.MethodType, types.BuiltinMethodType, types.MethodWrapperType})


class Table:
    """All handles of a session: `References` to those there are, and `of` a call, to those that its outcome makes."""

    def __init__(self, calls: Calls, recorder: Recorder, policy: Policy) -> None:
        self._calls = calls
        self.policy = policy
        self.recorder = recorder
        self._by_key: weakref.WeakValueDictionary[Key, Handle] = weakref.WeakValueDictionary()
        self._by_id: weakref.WeakValueDictionary[int, Handle] = weakref.WeakValueDictionary()
        """By the id of the live object, which the handle keeps alive."""

    # ---- References

    def of(
        self,
        lane: str,
        ordinal: int,
        site: SiteInfo | None,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> References:
        """For the outcome of the call `f(*args, **kwargs)`."""
        return _Outcome(self, lane, ordinal, Recipe(f, args, kwargs, site))

    def name(self, thing: object) -> Token | None:
        """The token of a proxy, of a live object that has a handle, or of a method of one."""
        kind = type(thing)
        if issubclass(kind, proxies.Proxy):
            return token(proxies.handle_of(thing))
        if (handle := self.known(thing)) is not None:
            return token(handle)
        if kind is proxies.Method:
            return _METHOD, token(proxies.handle_of(thing.__self__)), thing.__name__  # type: ignore[attr-defined]
        if kind in _BOUND and (handle := self._by_id.get(id(thing.__self__))) is not None:  # type: ignore[attr-defined]
            return _METHOD, token(handle), thing.__name__  # type: ignore[attr-defined]
        return None

    def known(self, thing: object) -> Handle | None:
        """The handle of a live object, if it has one."""
        handle = self._by_id.get(id(thing))
        return handle if handle is not None and handle.live is thing else None

    def find(self, token: Token) -> object:
        """The proxy for a token, whose handle may have been forgotten meanwhile. Raises LookupError."""
        return self.found(token, None, None)

    def found(self, token: Token, recipe: Recipe | None, parent: Handle | None) -> Any:
        """The proxy for a token; `recipe` and `parent` are of a handle that is new in this process."""
        if token[0] == _METHOD:
            found = self.found(token[1], recipe, parent)
            return proxies.Method(proxies.handle_of(found), found, token[2])
        if token[0] != _HANDLE:
            raise LookupError(token)
        _, key, told, is_part, *facts = token
        handle = self._by_key.get(key)
        if handle is None:
            handle = self.make(key, shape.of_told(told), recipe, parent, is_part=is_part)
            handle.learn(facts[0] if facts else {})
        return self.proxy(handle)

    def adopt(self, thing: object, why: Exception) -> Token | None:  # noqa: ARG002 - as the protocol has it
        """Nothing is made here: only the outcome of a call makes handles."""
        return None

    # ---- handles

    def make(
        self, key: Key, form: shape.Shape, recipe: Recipe | None, parent: Handle | None, *, is_part: bool
    ) -> Handle:
        """A new handle."""
        kind, _ = registry.kind_of(form.lineage, len(_handle.registered))
        if kind is None:
            kind = registry.PART if is_part else registry.UNKNOWN
        if form.lineage[0] == "sqlite3.Connection" and recipe and recipe.args and _is_in_memory(recipe.args[0]):
            kind = registry.IN_MEMORY
        handle = self._by_key[key] = Handle(self, key, form, kind, recipe, parent)
        return handle

    def attach(self, handle: Handle, live: Any) -> None:
        """This process has the object."""
        handle.live = live
        self._by_id[id(live)] = handle

    def attach_from(self, handle: Handle, result: Any) -> None:
        """Find in the result of a call that was made again the live objects that it made when it was recorded."""
        again = _Again(self, handle)
        if handle.key[2] == 0 and again.is_like(handle, result):
            self.attach(handle, result)
        else:
            self._calls.values.encode(result, again)

    def proxy(self, handle: Handle) -> Any:
        """The one proxy of a handle."""
        made = handle.proxy and handle.proxy()
        if made is None:
            made = proxies.proxy(handle, token(handle))
            handle.proxy = weakref.ref(made)
        return made

    @staticmethod
    def handle_of(thing: object) -> Handle | None:
        """The handle, if it is a proxy."""
        return proxies.handle_of(thing) if proxies.is_proxy(thing) else None

    def by_key(self, key: Key) -> Handle | None:
        """The handle of this key, if it is still in use."""
        return self._by_key.get(key)

    # ---- objects that are kept by their state

    def changed_state(self, handle: Handle) -> dict[str, Any]:
        """The fact STATE, if it is another one than was told last; nothing for what is not kept by its state."""
        before = handle.facts.get(STATE)
        if before is None or handle.kind.remake is not registry.Remake.STATE:
            return {}
        now = self.state_of(handle)
        return {} if now == before else {STATE: now}

    def state_of(self, handle: Handle) -> tuple[int, bytes, bytes] | None:
        """The live object, pickled; None if that is not possible."""
        try:
            encoded = self._calls.values.encode(handle.live, _Inside(self, handle))
        except perdure.Error:
            return None
        return (encoded.encoding, encoded.data, encoded.mac) if len(encoded.data) <= _MAX_STATE else None

    def from_state(self, handle: Handle) -> Any:
        """An object like the one that was pickled."""
        encoding, data, mac = handle.facts[STATE]
        return self._calls.values.decode(encoding, data, mac, _Inside(self, handle))

    # ---- for activities, and for making objects again

    def unwrap(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Live objects in place of proxies, in containers too. Raises perdure.HandleLost."""
        if not self._by_key:
            return args, kwargs
        return _unwrapped(args, _MAX_DEPTH), _unwrapped(kwargs, _MAX_DEPTH)

    def run_again(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of a recorded call, made once more."""
        if isinstance(f, Run):
            return f.again(args, kwargs)
        args, kwargs = self.unwrap(args, kwargs)
        return f(*args, **kwargs)

    def is_user_code(self, f: Any) -> bool:
        """Was this function written for the project?"""
        code = getattr(getattr(f, "__func__", f), "__code__", None)
        return code is not None and self.policy.is_user_code(code)

    def name_of(self, f: Any) -> str:
        """What the journal calls it."""
        return f"{f.handle.name}.{f.name}" if isinstance(f, Run) else self.policy.name(f)

    @contextmanager
    def without_effects(self, what: str) -> Iterator[None]:
        """While entered, user code that makes an external call gets perdure.HandleLost."""
        calls, before = self._calls, self._calls.refusal
        calls.refusal = f"{what} cannot be made again, because that would repeat a call"
        try:
            yield
        finally:
            calls.refusal = before


def token(handle: Handle) -> Token:
    """Plain data that says all that is needed to build the proxy without the object."""
    return _HANDLE, handle.key, handle.shape.told, handle.kind.is_part


class _Inside:
    """`References` for the state of one object: other live objects in it are named, and are live when it is loaded."""

    def __init__(self, table: Table, handle: Handle) -> None:
        self._table = table
        self._handle = handle

    def name(self, thing: object) -> Token | None:
        """The token of another object that has a handle, and is no part of this one."""
        known = self._table.known(thing)
        return None if known is not None and known.root is self._handle.root else self._table.name(thing)

    def find(self, token: Token) -> object:
        """The live object, or a new lock."""
        if token[0] == _LOCK:
            return _LOCKS[token[1]]()
        found = self._table.find(token)
        handle = self._table.handle_of(found)
        return found if handle is None else live(handle)

    def adopt(self, thing: object, why: Exception) -> Token | None:  # noqa: ARG002 - as the protocol has it
        """A lock that nobody holds is as good as a new one; nothing else may be missing."""
        for name, make in _LOCKS.items():
            if type(thing) is type(make()) and repr(thing).startswith("<unlocked "):
                return _LOCK, name
        return None


def _is_method(thing: object, handle: Handle) -> bool:
    return type(thing) in _BOUND and thing.__self__ is handle.live  # type: ignore[attr-defined]


def _is_in_memory(path: object) -> bool:
    return isinstance(path, str) and (path in {"", ":memory:"} or "mode=memory" in path or path == "file::memory:")


class _Outcome:
    """`References` for one call's outcome: they make handles of the live objects in it."""

    def __init__(self, table: Table, lane: str, ordinal: int, recipe: Recipe) -> None:
        self._table = table
        self._place = lane, ordinal
        self._recipe = recipe
        self._made: list[Handle] = []
        run = recipe.f
        self._parent = run.handle if isinstance(run, Run) else None
        self._part = run if isinstance(run, Run) and run.part else None

    def name(self, thing: object) -> Token | None:
        """The token of a live object or proxy; None for data."""
        if self._part is not None and thing is self._part.value and _is_method(thing, self._part.handle):
            return _METHOD, token(self._part.handle), self._part.name  # a library may give it another name inside
        known = self._table.name(thing)
        if known is not None:
            return known
        is_part = self._part is not None and thing is self._part.value and self._is_part(thing)
        if is_part or is_live_class(type(thing), self._table.policy):
            return self._told(self._adopted(thing, is_part=is_part))
        return None

    def _told(self, handle: Handle) -> Token:
        facts = {name: handle.facts[name] for name in (*handle.kind.facts, STATE) if name in handle.facts}
        return (*token(handle), facts)

    def find(self, token: Token) -> object:
        """The proxy for a token."""
        return self._table.found(token, self._recipe, self._parent)

    def adopt(self, thing: object, why: Exception) -> Token | None:  # noqa: ARG002 - as the protocol has it
        """A handle for what cannot be pickled, unless it is no object that one can use."""
        if issubclass(type(thing), NEVER):
            return None
        return self._told(self._adopted(thing, is_part=self._part is not None and thing is self._part.value))

    def _adopted(self, thing: object, *, is_part: bool) -> Handle:
        key = (*self._place, len(self._made))
        form = shape.of_class(type(thing))
        handle = self._table.make(key, form, self._recipe, self._parent, is_part=is_part)
        self._made.append(handle)  # they live until the outcome is decoded
        self._table.attach(handle, thing)
        handle.learn(handle.changed_facts(thing))
        if handle.kind.remake is registry.Remake.STATE:
            handle.facts[STATE] = self._table.state_of(handle)
        return handle

    def _is_part(self, thing: object) -> bool:
        assert self._part is not None
        return self._part.name in self._part.handle.kind.parts or not is_data(thing)


class _Again(_Outcome):
    """As `_Outcome`, for a call that was made again: it attaches live objects to the handles that there are."""

    def __init__(self, table: Table, handle: Handle) -> None:
        assert handle.recipe is not None
        super().__init__(table, *handle.key[:2], handle.recipe)
        self._count = 0

    def is_like(self, handle: Handle, thing: object) -> bool:
        """Is `thing` what the handle stands for, and not a container of it?"""
        return shape.of_class(type(thing)).told == handle.shape.told

    def _adopted(self, thing: object, *, is_part: bool) -> Handle:  # noqa: ARG002 - the handle says it already
        handle = self._table.by_key((*self._place, self._count))
        self._count += 1
        if handle is None or handle.live is not GONE:
            form = shape.of_class(type(thing))  # nobody uses this one any more
            handle = Handle(self._table, (*self._place, self._count - 1), form, registry.UNKNOWN, None, None)
        self._made.append(handle)
        self._table.attach(handle, thing)
        return handle


def _unwrapped(value: Any, depth: int) -> Any:
    kind = type(value)
    if issubclass(kind, proxies.Proxy):
        return live(proxies.handle_of(value))
    if not depth or kind not in (list, tuple, dict, set):
        return value
    items = list(value.values()) if kind is dict else list(value)
    if only_atoms(map(type, items)):  # in C: large lists end here
        return value
    new = [_unwrapped(item, depth - 1) for item in items]
    if all(a is b for a, b in zip(items, new, strict=True)):
        return value
    return dict(zip(value, new, strict=True)) if kind is dict else kind(new)
