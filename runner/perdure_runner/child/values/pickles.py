"""Pickles of everything that is not plain data.

Pickle protocol 5, with reducers for what the standard pickler refuses although it is data, and with cloudpickle's for
functions and classes that cannot be found again by name. A pickle that was written proves nothing about loading it, so
each type is loaded once, when it is first met; types of the standard library are trusted to keep their promise.
"""

import collections
import functools
import importlib.util
import io
import os
import pickle
import random
import sys
import types
import uuid
import weakref
from collections.abc import Iterator
from itertools import islice
from typing import Any

from perdure_runner.child.values import inert
from perdure_runner.child.values.errors_codec import Detail, Dump, reduce_exception
from perdure_runner.child.values.fingerprint_parts import is_user_class
from perdure_runner.child.values.reducers import REDUCERS
from perdure_runner.child.values.references import Adopting, References, Token

CLOUDPICKLE = "_perdure_cloudpickle"  # its name in sys.modules and in the pickles it makes: never change it

_MAX_VERIFIED = 4096  # types; a session that makes classes in a loop must not keep them all
_MAX_CHILDREN = 1000  # of one object, tried when an error message needs a place
_MAX_PATH = 50  # steps of such a place
_MAX_ADOPTED = 100  # live objects in one value
_WHOLE = Detail()

# Picklable, or so cloudpickle thinks, but what comes back is not what went in.
_REFUSED = frozenset({io.TextIOWrapper, weakref.finalize})


class TooLarge(Exception):  # noqa: N818 - the codec turns it into perdure.ValueTooLarge
    """The pickle has `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class _ByValue(Exception):  # noqa: N818 - control flow between a pickler and `dump`
    """The value holds a function or class that cannot be found by name: cloudpickle has to write it."""


class Pickling:
    """Writes and loads the pickles of one session.

    limit: bytes of the largest pickle. cloudpickle_path: where cloudpickle is, see `load_cloudpickle`.
    """

    def __init__(self, limit: int, cloudpickle_path: str | None = None) -> None:
        self._limit = limit
        self._cloudpickle_path = cloudpickle_path
        self._verified: set[type] = set()
        self.adoptions = 0
        """Live objects that references have adopted so far."""

    def dump(self, value: object, detail: Detail = _WHOLE, refs: References | None = None) -> bytes:
        """The pickle, in which tokens of `refs` stand for live objects.

        Raises TooLarge, or whatever the value's own code or the pickler raised.
        """
        if refs is None:
            return self._dump(value, detail, None)
        adopting = Adopting(refs)
        for _ in range(_MAX_ADOPTED):
            try:
                return self._dump(value, detail, adopting)
            except (TooLarge, RecursionError):
                raise
            except Exception as error:  # the value's own code, or the pickler's refusal
                if not self._adopt(value, adopting, error):
                    raise
        return self._dump(value, detail, adopting)

    def _dump(self, value: object, detail: Detail, refs: References | None) -> bytes:
        context = _Context(lambda part: self._try(part, refs), detail, refs)
        sink = _Sink(self._limit)
        try:
            (_PlainPickler if refs is None else _NamingPickler)(sink, context).dump(value)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001 - the value's own __reduce__ and __getstate__
            sink = _Sink(self._limit)
            try:
                plain, naming = _cloud_picklers(load_cloudpickle(self._cloudpickle_path))
            except ModuleNotFoundError:
                raise error from None
            (plain if refs is None else naming)(sink, context).dump(value)
        data = sink.content()
        self._verify(data, context.types - self._verified, refs)
        return data

    def load(self, data: bytes, refs: References | None = None) -> object:
        """Raises whatever the pickled classes raise, or what `import` does when they are gone."""
        if CLOUDPICKLE not in sys.modules and CLOUDPICKLE.encode() in data:
            load_cloudpickle(self._cloudpickle_path)
        return pickle.loads(data) if refs is None else _FindingUnpickler(data, refs).load()

    def records(self, value: object, refs: References | None = None) -> bool:
        """Can this value be pickled, within the limit?"""
        return type(value) in _ATOMS or self._try(value, refs) is not None

    def _try(self, value: object, refs: References | None) -> bytes | None:
        try:
            return self._dump(value, _WHOLE, refs)
        except Exception:  # noqa: BLE001 - the value's own code
            return None

    def locate(self, value: object, name: str, refs: References | None = None) -> tuple[str, object]:
        """The innermost part of `value` that cannot be pickled, and where it is: `result['conn'].socket`."""
        *_, (path, culprit) = self._culprits(value, name, refs)
        return path, culprit

    def _culprits(self, value: object, name: str, refs: References | None) -> Iterator[tuple[str, object]]:
        """What cannot be pickled, from `value` inwards, each being a part of the one before."""
        path, around = name, {id(value)}
        yield path, value
        for _ in range(_MAX_PATH):
            parts = islice(_parts(value), _MAX_CHILDREN)
            culprit = next(
                (part for part in parts if id(part[1]) not in around and not self.records(part[1], refs)), None
            )
            if culprit is None:
                break
            path, value = path + culprit[0], culprit[1]
            around.add(id(value))
            yield path, value

    def _adopt(self, value: object, adopting: Adopting, why: Exception) -> bool:
        """Offer what stands in the way: whole things of libraries first (a client, not the lock in it)."""
        culprits = [part for _, part in self._culprits(value, "", adopting)]
        whole = [part for part in culprits if not _holds_users_parts(part)]
        rest = [part for part in reversed(culprits) if _holds_users_parts(part)]
        adopted = any(adopting.adopt(part, why) is not None for part in (*whole, *rest))
        self.adoptions += adopted
        return adopted

    def _verify(self, data: bytes, new: set[type], refs: References | None) -> None:
        if not all(_keeps_its_promise(cls) for cls in new):
            self.load(data, refs)
        if len(self._verified) + len(new) > _MAX_VERIFIED:
            self._verified.clear()
        self._verified |= new


_ATOMS = frozenset({types.NoneType, bool, int, float, complex, str, bytes})


class _Sink:
    """Collects a pickle up to a limit; beyond it, only counts."""

    def __init__(self, limit: int) -> None:
        self._parts: list[bytes] = []
        self._limit = limit
        self._size = 0

    def write(self, data: Any) -> None:
        part = bytes(data)
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        else:
            self._parts.clear()

    def content(self) -> bytes:
        if self._size > self._limit:
            raise TooLarge(self._size)
        return b"".join(self._parts)


class _Context:
    """What the picklers share: our reducers, the types that were met, and who names objects."""

    def __init__(self, try_: Dump, detail: Detail, refs: References | None) -> None:
        self._try = try_
        self._detail = detail
        self.refs = refs
        self.types: set[type] = set()

    def name(self, value: object) -> Token | None:
        """A token instead of the value, if there is one."""
        return None if self.refs is None or type(value) in _ATOMS else self.refs.name(value)

    def reduce(self, value: Any) -> Any:
        kind = type(value)
        if (reducer := REDUCERS.get(kind)) is not None:
            return reducer(value)
        if issubclass(kind, BaseException):
            self.types.add(kind)
            return reduce_exception(value, self._detail, self._try)
        if kind in _REFUSED:
            raise TypeError(f"cannot pickle '{inert.type_name(kind)}' object")
        self.types.add(kind)
        return NotImplemented


class _PlainPickler(pickle.Pickler):
    def __init__(self, sink: _Sink, context: _Context) -> None:
        super().__init__(sink, 5)
        self._context = context

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind is types.FunctionType or issubclass(kind, type):
            if _found_by_name(value):
                return NotImplemented
            raise _ByValue
        return self._context.reduce(value)


class _NamingPickler(_PlainPickler):
    """Apart, because the pickler asks for each object, strings and numbers too, as soon as it has this method."""

    def persistent_id(self, value: Any) -> Token | None:
        return self._context.name(value)


class _FindingUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, refs: References) -> None:
        super().__init__(io.BytesIO(data))
        self._refs = refs

    def persistent_load(self, token: Token) -> object:
        return self._refs.find(token)


def _keeps_its_promise(cls: type) -> bool:
    """Is it the standard library's, and no class that it makes as it goes, as ctypes does for each library?"""
    return inert.module_of(cls).partition(".")[0] in sys.stdlib_module_names and _found_by_name(cls)


def _found_by_name(thing: Any) -> bool:
    if type(thing) is types.FunctionType:
        module, name = thing.__module__, thing.__qualname__
    else:
        module, name = inert.module_of(thing), inert.qualname_of(thing)
    if module == "builtins" and type(thing) is type:
        return True  # among them NoneType and function, which the module does not name but pickle knows
    return module != "__main__" and inert.resolves(thing, module, name)


def _unique() -> uuid.UUID:
    """As `uuid.uuid4`, which becomes a marker in sessions."""
    return uuid.UUID(int=random.SystemRandom().getrandbits(128), version=4)


def load_cloudpickle(path: str | None = None) -> types.ModuleType:
    """cloudpickle's one module, under a private name, so that it neither meets nor is met by the user's own.

    path: the folder of the package, or its `cloudpickle.py`; None: where the host says that it carries it, or else
    wherever `import cloudpickle` would find it. Raises ModuleNotFoundError.
    """
    if (loaded := sys.modules.get(CLOUDPICKLE)) is not None:
        return loaded
    if path is None and importlib.util.find_spec(CLOUDPICKLE) is not None:
        return importlib.import_module(CLOUDPICKLE)
    if path is None:
        package = importlib.util.find_spec("cloudpickle")
        path = next(iter((package and package.submodule_search_locations) or ()), "")
    file = os.path.join(path, "cloudpickle.py") if os.path.isdir(path) else path
    if not os.path.isfile(file):
        raise ModuleNotFoundError(f"cloudpickle is not at {path!r}", name="cloudpickle")
    spec = importlib.util.spec_from_file_location(CLOUDPICKLE, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[CLOUDPICKLE] = module
    spec.loader.exec_module(module)
    module.uuid = types.SimpleNamespace(uuid4=_unique)  # type: ignore[attr-defined]  # the session's own is recorded
    return module


@functools.lru_cache(1)
def _cloud_picklers(cloudpickle: types.ModuleType) -> tuple[type[Any], type[Any]]:
    """Picklers that write functions and classes by value where they must: one that names nothing, and one that does."""

    class CloudPickler(cloudpickle.Pickler):  # type: ignore[misc,name-defined]
        def __init__(self, sink: _Sink, context: _Context) -> None:
            super().__init__(sink, 5)
            self._context = context

        def reducer_override(self, value: Any) -> Any:
            kind = type(value)
            if kind is not types.FunctionType and not issubclass(kind, type):
                reduction = self._context.reduce(value)
                if reduction is not NotImplemented:
                    return reduction
            elif kind is not types.FunctionType:
                self._context.types.add(value)
            return super().reducer_override(value)

    class NamingCloudPickler(CloudPickler):
        def persistent_id(self, value: Any) -> Token | None:
            return self._context.name(value)

    return CloudPickler, NamingCloudPickler


_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, collections.deque, functools.partial})
_CONTAINERS |= {collections.OrderedDict, collections.defaultdict, types.FunctionType, types.MethodType, types.CellType}


def _holds_users_parts(thing: object) -> bool:
    """Would user code miss the container itself, rather than what it holds, if it became a live object?"""
    kind = type(thing)
    return kind in _CONTAINERS or issubclass(kind, BaseException) or is_user_class(kind)


def _parts(value: Any) -> Iterator[tuple[str, object]]:
    """The objects that a pickle of `value` would hold, each with how to reach it in Python."""
    kind = type(value)
    if issubclass(kind, list | tuple):
        base: Any = list if issubclass(kind, list) else tuple
        yield from ((f"[{index}]", part) for index, part in enumerate(base.__iter__(value)))
    elif issubclass(kind, dict):
        for key, part in dict.items(value):
            yield ".<key>", key
            yield f"[{key!r:.60}]" if type(key) in _ATOMS else f"[<{inert.type_name(type(key))}>]", part
    elif issubclass(kind, set | frozenset):
        base = set if issubclass(kind, set) else frozenset
        yield from ((".<item>", part) for part in base.__iter__(value))
    elif kind is types.FunctionType:
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            try:
                yield f".<closure>.{name}", cell.cell_contents
            except ValueError:  # an empty cell
                continue
        return
    elif issubclass(kind, type | types.ModuleType):
        return
    elif kind is types.MethodType:
        yield ".__self__", value.__self__
    for name, part in (inert.instance_dict(value) or {}).items():
        yield f".{name}", part
    for name, part in inert.slots(value):
        yield f".{name}", part
