"""Effects of a call on what it was given: seen, recorded with its outcome, and applied again in replay.

What a call can reach (its arguments, its receiver, the globals and outer variables that it names) is numbered before it
runs, in an order that is the same in replay. An outcome names these objects by their numbers instead of copying them,
so what comes back is the very object that went in; and where one has been changed, its new state is part of the
outcome. What user code holds afterwards is, live too, what replay will give it.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from typing import Any

import perdure

from perdure_runner.child import restore
from perdure_runner.child.effects import opaque as effects_opaque
from perdure_runner.child.effects import state as effects_state
from perdure_runner.child.effects.bindings import Bindings, function_of, surroundings
from perdure_runner.child.effects.opaque import Opaque
from perdure_runner.child.values import inert
from perdure_runner.child.values.codec import Codec, Encoded
from perdure_runner.child.values.fingerprint import ATOMS, FORMAT, Seen, Walk, fingerprint_flat, marshals, only_atoms
from perdure_runner.child.values.fingerprint_parts import Parts, parts_of
from perdure_runner.child.values.references import Chain, References, Token

_OWN = "given"  # in recorded values: never rename

_Node = tuple[Any, Seen | Opaque | None]
"""An object, and what it looked like before the call; None: it is not compared."""


class Given:
    """What one call is given. As `References`, it knows these objects."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], f: Callable[..., Any] | None = None) -> None:
        self._args = args
        self._kwargs = kwargs
        self._f = f if f is not None and function_of(f) else None
        self._nodes: list[_Node] | None = None
        self._index: dict[int, int] | None = None
        self.changed = False
        """The call was found to have changed something."""
        atoms = only_atoms(map(type, args)) and only_atoms(map(type, kwargs.values()))
        flat = atoms or (all(map(marshals, args)) and all(map(marshals, kwargs.values())))
        if flat and only_atoms(map(type, kwargs)):
            self.digest = fingerprint_flat(args, kwargs)
            if atoms:
                self._nodes = []
        else:
            walk = Walk()
            self.digest = walk.digest((args, {**kwargs}))
            self._nodes = [*walk.nodes]

    # ---- before it runs

    def watch(self) -> None:
        """Remember what everything looks like: the call is about to run."""
        if self.is_nothing():
            return
        nodes = self._numbered()
        for number, (thing, seen) in enumerate(nodes):
            if type(seen) is Parts and seen.opaque:
                nodes[number] = thing, effects_opaque.look(thing)

    def is_nothing(self) -> bool:
        """Nothing was given that could be changed or come back: the usual case, and a cheap one."""
        return self._f is None and self._nodes is not None and not self._nodes

    def _numbered(self) -> list[_Node]:
        if self._nodes is None:
            self._nodes = self._flat_nodes()
        if self._f is not None:
            f, self._f = self._f, None
            self._nodes += _around(f)
        return self._nodes

    def _flat_nodes(self) -> list[_Node]:
        things = (*self._args, *self._kwargs.values())
        return [(thing, marshal.dumps(thing, FORMAT)) for thing in things if type(thing) not in ATOMS]

    # ---- References

    def name(self, thing: object) -> Token | None:
        """A token for what the call was given."""
        number = self._numbers().get(id(thing))
        return None if number is None else (_OWN, number)

    def find(self, token: Token) -> object:
        """The object of this number."""
        if token[0] != _OWN:
            raise LookupError(token)
        return self._numbered()[token[1]][0]

    def adopt(self, thing: object, why: Exception) -> Token | None:  # noqa: ARG002 - the protocol's
        """Nothing new: what was given is known."""
        return None

    def _numbers(self) -> dict[int, int]:
        if self._index is None:
            nodes = self._numbered()
            self._index = {id(nodes[number][0]): number for number in range(len(nodes) - 1, -1, -1)}
        return self._index

    def _holds(self, value: Any) -> bool:
        """Is one of these objects in `value`, lists and dicts all the way down?"""
        numbers = self._numbers()
        if not numbers:
            return False
        seen: set[int] = set()
        pending = [value]
        while pending:
            item = pending.pop()
            if id(item) in numbers:
                return True
            if type(item) not in (list, dict) or id(item) in seen:
                continue
            seen.add(id(item))
            parts = item.values() if type(item) is dict else item
            if not only_atoms(map(type, parts)):
                pending.extend(part for part in parts if type(part) not in ATOMS)
        return False

    # ---- after it has run

    def changes(self) -> list[restore.Change]:
        """What has been changed since `watch`, each object with its new state, in the order in which to apply them.

        Raises perdure.InPlaceChange: something has changed of which no state can be put back.
        """
        found: dict[int, restore.Change] = {}
        for thing, before in self._numbered():
            if before is None or id(thing) in found or not _differs(thing, before):
                continue
            state = _take(thing, before)
            if state is not None:
                found[id(thing)] = thing, state
        self.changed = bool(found)
        return sorted(found.values(), key=lambda change: effects_state.hashes(change[0]))

    def encode(self, values: Codec, value: Any, refs: References | None) -> Encoded:
        """An outcome with the changes that belong to it.

        Raises perdure.UnrecordableValue, perdure.ValueTooLarge, perdure.InPlaceChange.
        """
        if self.is_nothing():
            return values.encode(value, refs)
        changes = self.changes()
        if changes:
            return self._encode_changed(values, value, changes, refs)
        if type(value) in ATOMS or not self._nodes:
            return values.encode(value, refs)
        return values.encode(value, self.references(refs), as_json=not self._holds(value))

    def _encode_changed(
        self, values: Codec, value: Any, changes: list[restore.Change], refs: References | None
    ) -> Encoded:
        chain = self.references(refs)
        try:
            return values.encode(restore.Outcome(value, changes), chain)
        except perdure.UnrecordableValue as error:
            values.encode(value, chain)  # is it the value itself?
            raise _cannot(f"what it holds now cannot be recorded: {error}") from error

    def encode_error(self, values: Codec, error: BaseException, refs: References | None) -> Encoded:
        """An exception with the changes made before it was raised. Raises perdure.InPlaceChange."""
        changes = self.changes()
        if not changes and not self._numbered():
            return values.encode_error(error, refs)
        try:
            return values.encode_error(error, self.references(refs), changes)
        except perdure.UnrecordableValue as failure:
            raise _cannot(f"what it holds now cannot be recorded: {failure}") from error

    def references(self, refs: References | None) -> References:
        """What the outcome is encoded and decoded with."""
        return self if refs is None else Chain(self, refs)


NOTHING = Given((), {})
"""For calls without arguments that could be changed."""


def may_change(data: bytes) -> bool:
    """Could this pickle hold changes? Cheap; it may say yes to one that holds none."""
    return b"perdure_runner.child.restore" in data and b"outcome" in data


def settle(decoded: Any) -> Any:
    """Apply the changes that belong to a decoded outcome. Returns the outcome proper."""
    if type(decoded) is not restore.Outcome:
        return decoded
    for thing, state in decoded.changes:
        if "opaque" in state:
            effects_opaque.put(thing, state["opaque"])
        else:
            effects_state.put(thing, state)
    return decoded.value


def _around(f: Callable[..., Any]) -> list[_Node]:
    """The nodes of what `f` works on besides its arguments. Library objects among them are not compared."""
    around = surroundings(f)
    if not around:
        return []
    walk = Walk()
    nodes: list[_Node] = []
    for bindings in around:
        nodes.append((bindings, _parts(bindings)))
        for value in bindings.values().values():
            walk.digest(value)
    return [*nodes, *((thing, None if type(seen) is Parts and seen.opaque else seen) for thing, seen in walk.nodes)]


def _parts(thing: Any) -> Parts:
    if type(thing) is not Bindings:
        return parts_of(thing)
    values = thing.values()
    return Parts(("bindings", *values), list(values.values()))


def _differs(thing: Any, before: Seen | Opaque) -> bool:
    if type(before) is bytes:
        return not marshals(thing) or marshal.dumps(thing, FORMAT) != before
    if type(before) is Opaque:
        now = effects_opaque.look(thing)
        return now is not None and now != before
    assert type(before) is Parts
    now_parts = _parts(thing)
    return now_parts.label != before.label or not (
        _same(now_parts.ordered, before.ordered) and _same(now_parts.unordered, before.unordered)
    )


def _same(these: list[Any], those: list[Any]) -> bool:
    """The same objects, or equal atoms."""
    return len(these) == len(those) and all(
        one is other
        or (
            type(one) is type(other)
            and type(one) in ATOMS
            and marshal.dumps(one, FORMAT) == marshal.dumps(other, FORMAT)
        )
        for one, other in zip(these, those, strict=True)
    )


def _take(thing: Any, before: Seen | Opaque) -> effects_state.State | None:
    if type(before) is not Opaque:
        return effects_state.take(thing)
    state = effects_opaque.take(thing)
    if state is None:
        raise _cannot(f"a {inert.type_name(type(thing))} holds its state where it cannot be put back")
    return {"opaque": state}


def _cannot(why: str) -> perdure.InPlaceChange:
    return perdure.InPlaceChange(f"the call changed in place what it was given, and {why}")
