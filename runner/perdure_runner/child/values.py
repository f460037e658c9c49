"""Pickles of everything that is not plain data.

Pickle protocol 5, with reducers for what the standard pickler refuses although it is data, and with cloudpickle's for
functions and classes that cannot be found again by name. A pickle that was written proves nothing about loading it, so
each type is loaded once, when it is first met; types of the standard library are trusted to keep their promise.
"""

import importlib.util
import io
import os
import pickle
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from perdure_runner.child import inert
from perdure_runner.child.errors_codec import Detail, reduce_exception
from perdure_runner.child.reducers import REDUCERS

CLOUDPICKLE = "_perdure_cloudpickle"  # its name in sys.modules and in the pickles it makes: never change it

_MAX_VERIFIED = 4096  # types; a session that makes classes in a loop must not keep them all
_MAX_CHILDREN = 1000  # of one object, tried when an error message needs a place
_MAX_PATH = 50  # steps of such a place
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

    def dump(self, value: object, detail: Detail = _WHOLE) -> bytes:
        """Raises TooLarge, or whatever the value's own code or the pickler raised."""
        context = _Context(self.records, detail)
        sink = _Sink(self._limit)
        try:
            _PlainPickler(sink, context).dump(value)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001 - the value's own __reduce__ and __getstate__
            sink = _Sink(self._limit)
            try:
                pickler = _cloud_pickler(load_cloudpickle(self._cloudpickle_path))
            except ModuleNotFoundError:
                raise error from None
            pickler(sink, context).dump(value)
        data = sink.content()
        self._verify(data, context.types - self._verified)
        return data

    def load(self, data: bytes) -> object:
        """Raises whatever the pickled classes raise, or what `import` does when they are gone."""
        if CLOUDPICKLE not in sys.modules and CLOUDPICKLE.encode() in data:
            load_cloudpickle(self._cloudpickle_path)
        return pickle.loads(data)

    def records(self, value: object) -> bool:
        """Can this value be pickled, within the limit?"""
        if type(value) in _ATOMS:
            return True
        try:
            self.dump(value)
        except Exception:  # noqa: BLE001 - the value's own code
            return False
        return True

    def locate(self, value: object, name: str) -> tuple[str, object]:
        """The innermost part of `value` that cannot be pickled, and where it is: `result['conn'].socket`."""
        path, around = name, {id(value)}
        for _ in range(_MAX_PATH):
            parts = islice(_parts(value), _MAX_CHILDREN)
            culprit = next((part for part in parts if id(part[1]) not in around and not self.records(part[1])), None)
            if culprit is None:
                break
            path, value = path + culprit[0], culprit[1]
            around.add(id(value))
        return path, value

    def _verify(self, data: bytes, new: set[type]) -> None:
        if not all(inert.module_of(cls).partition(".")[0] in sys.stdlib_module_names for cls in new):
            self.load(data)
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
    """What the two picklers share: our reducers, and the types that were met."""

    def __init__(self, records: Callable[[object], bool], detail: Detail) -> None:
        self._records = records
        self._detail = detail
        self.types: set[type] = set()

    def reduce(self, value: Any) -> Any:
        kind = type(value)
        if (reducer := REDUCERS.get(kind)) is not None:
            return reducer(value)
        if issubclass(kind, BaseException):
            self.types.add(kind)
            return reduce_exception(value, self._detail, self._records)
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


def _found_by_name(thing: Any) -> bool:
    if type(thing) is types.FunctionType:
        module, name = thing.__module__, thing.__qualname__
    else:
        module, name = inert.module_of(thing), inert.qualname_of(thing)
    if module == "builtins" and type(thing) is type:
        return True  # among them NoneType and function, which the module does not name but pickle knows
    return module != "__main__" and inert.resolves(thing, module, name)


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
    return module


_cloud_picklers: list[type[Any]] = []


def _cloud_pickler(cloudpickle: types.ModuleType) -> type[Any]:
    """A pickler that writes functions and classes by value where it must."""
    if not _cloud_picklers:

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
                return super().reducer_override(value)

        _cloud_picklers.append(CloudPickler)
    return _cloud_picklers[0]


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
