"""Fingerprints of arguments: what a call was given, in 16 bytes.

Used twice: replay compares them to notice that the code has diverged, and a recorder compares them before and after a
call to notice that it changed an argument in place. So a fingerprint is of structure alone: equal for equal structure
in every process and under every hash seed, whatever is shared or interned, and without any address; and every change
of plain containers and of the state of a user's objects changes it. No user code runs.

A value is written out, depth first, and hashed. Containers of atoms alone, nearly all there are, go through `marshal`:
C code, which in its version 2 writes neither references nor what is interned, and which sorts sets. Its bytes for these
types are the same from Python 3.11 on; a test pins them. What other types contribute is in `fingerprint_parts`.
"""

import marshal
import types
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from perdure_runner.child import inert
from perdure_runner.child.fingerprint_parts import length_of, parts_of

MAX_DEPTH = 100  # containers and objects in each other
MAX_NODES = 100_000  # containers and objects in all; beyond either limit, each counts by its type and length only

_FORMAT = 2
_ATOMS = frozenset({types.NoneType, bool, int, float, complex, str, bytes, types.EllipsisType})
_only_atoms = _ATOMS.issuperset
_CONTAINERS = frozenset({tuple, list, set, frozenset})
_LEAVE = object()


def fingerprint(value: object) -> bytes:
    """16 bytes for any value. Raises nothing."""
    return _Walk().digest(value)


def fingerprint_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """16 bytes for the arguments of a call."""
    if all(map(_marshals, args)) and all(map(_marshals, kwargs.values())) and _only_atoms(map(type, kwargs)):
        return blake2b(marshal.dumps((args, {**kwargs}), _FORMAT), digest_size=16).digest()
    return fingerprint((args, {**kwargs}))


class _Walk:
    def __init__(self) -> None:
        self._nodes = MAX_NODES
        self._path: dict[int, int] = {}  # id of what we are inside of -> its depth

    def digest(self, value: Any) -> bytes:
        hasher = blake2b(digest_size=16)
        write = hasher.update
        stack = [value]
        path = self._path
        while stack:
            item = stack.pop()
            if item is _LEAVE:
                path.popitem()
            elif _marshals(item):
                write(marshal.dumps(item, _FORMAT))
            elif id(item) in path:
                write(_label("cycle", len(path) - path[id(item)]))
            elif len(path) >= MAX_DEPTH or self._nodes <= 0:
                write(_label("beyond", inert.type_name(type(item)), length_of(item)))
            else:
                self._nodes -= 1
                path[id(item)] = len(path)
                label, ordered, unordered = parts_of(item)
                write(_label(*label, len(ordered), len(unordered)))
                if unordered:
                    write(b"".join(sorted(map(self.digest, unordered))))
                stack.append(_LEAVE)
                stack.extend(reversed(ordered))
        return hasher.digest()


def _marshals(item: Any) -> bool:
    """Can marshal write `item` alone? It must be an atom or a container of atoms, of exactly these types."""
    kind = type(item)
    if kind in _ATOMS:
        return True
    if kind is dict:
        return _only_atoms(map(type, item)) and _only_atoms(map(type, item.values()))
    return kind in _CONTAINERS and _only_atoms(map(type, item))


def _label(*atoms: Any) -> bytes:
    return marshal.dumps(atoms, _FORMAT)
