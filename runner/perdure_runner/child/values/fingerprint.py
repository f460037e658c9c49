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

from perdure_runner.child.values import inert
from perdure_runner.child.values.fingerprint_parts import Parts, length_of, parts_of

MAX_DEPTH = 100  # containers and objects in each other
MAX_NODES = 100_000  # containers and objects in all; beyond either limit, each counts by its type and length only

FORMAT = 2
ATOMS = frozenset({types.NoneType, bool, int, float, complex, str, bytes, types.EllipsisType})
only_atoms = ATOMS.issuperset
_CONTAINERS = frozenset({tuple, list, set, frozenset})
_LEAVE = object()


def fingerprint(value: object) -> bytes:
    """16 bytes for any value. Raises nothing."""
    return Walk().digest(value)


def fingerprint_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """16 bytes for the arguments of a call."""
    if not args and not kwargs:
        return OF_NOTHING
    if all(map(marshals, args)) and all(map(marshals, kwargs.values())) and only_atoms(map(type, kwargs)):
        return fingerprint_flat(args, kwargs)
    return fingerprint((args, {**kwargs}))


def fingerprint_flat(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """The same where `marshals` says of each argument, and of the names, that it can be written in one go."""
    return blake2b(marshal.dumps((args, {**kwargs}), FORMAT), digest_size=16).digest()


OF_NOTHING = fingerprint_flat((), {})


Seen = bytes | Parts
"""What an object looked like: what marshal wrote of a container of atoms, or its parts."""


class Walk:
    """One way through values. `nodes` holds what was met, atoms left out, with what it looked like.

    The order of the nodes is that of the structure: the same in every process, but for equal members of one set.
    """

    def __init__(self) -> None:
        self._left = MAX_NODES
        self._path: dict[int, int] = {}  # id of what we are inside of -> its depth
        self.nodes: list[tuple[Any, Seen]] = []

    def digest(self, value: Any) -> bytes:
        """16 bytes for `value`."""
        hasher = blake2b(digest_size=16)
        write = hasher.update
        stack = [value]
        path = self._path
        while stack:
            item = stack.pop()
            if item is _LEAVE:
                path.popitem()
            elif type(item) in ATOMS:
                write(marshal.dumps(item, FORMAT))
            elif marshals(item):
                seen = marshal.dumps(item, FORMAT)
                self.nodes.append((item, seen))
                write(seen)
            elif id(item) in path:
                write(_label("cycle", len(path) - path[id(item)]))
            elif len(path) >= MAX_DEPTH or self._left <= 0:
                write(_label("beyond", inert.type_name(type(item)), length_of(item)))
            else:
                self._left -= 1
                path[id(item)] = len(path)
                parts = parts_of(item)
                self.nodes.append((item, parts))
                write(_label(*parts.label, len(parts.ordered), len(parts.unordered)))
                if parts.unordered:
                    write(self._unordered(parts.unordered))
                stack.append(_LEAVE)
                stack.extend(reversed(parts.ordered))
        return hasher.digest()

    def _unordered(self, items: list[Any]) -> bytes:
        """The digests of a set's items, sorted; their nodes in the same order."""
        nodes, found = self.nodes, []
        for item in items:
            self.nodes = []
            found.append((self.digest(item), self.nodes))
        found.sort(key=lambda each: each[0])
        self.nodes = nodes
        for _, below in found:
            nodes += below
        return b"".join(digest for digest, _ in found)


def marshals(item: Any) -> bool:
    """Can marshal write `item` alone? It must be an atom or a container of atoms, of exactly these types."""
    kind = type(item)
    if kind in ATOMS:
        return True
    if kind is dict:
        return only_atoms(map(type, item)) and only_atoms(map(type, item.values()))
    return kind in _CONTAINERS and only_atoms(map(type, item))


def _label(*atoms: Any) -> bytes:
    return marshal.dumps(atoms, FORMAT)
