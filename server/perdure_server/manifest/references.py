"""What parts of a manifest say about each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure_server.core.errors import did_you_mean
from perdure_server.manifest.connections import Connection
from perdure_server.manifest.nodes import Reader, Reference
from perdure_server.manifest.triggers import Trigger
from perdure_server.manifest.variables import Variable

MOST: Final = 500
"""Triggers, or connections, of a project."""


def check_references(
    reader: Reader, connections: Sequence[Connection], triggers: Sequence[Trigger], variables: Sequence[Variable]
) -> None:
    """Problems of the reader: what is referred to and missing (P0107), names and paths that are taken (P0103).

    Where there are too many of a kind, that is the only problem: a project's events are looked at by each trigger.
    """
    if _too_many(reader, connections, "connections") or _too_many(reader, triggers, "triggers"):
        return
    _names(reader, connections, triggers)
    _paths(reader, triggers)
    names = [variable.name for variable in variables]
    for reference in reader.references:
        match reference.kind:
            case "connection" if reference.name.startswith("@"):
                _family(reader, reference, connections)
            case "connection":
                _known(reader, reference, [connection.name for connection in connections], "`connections`")
            case _ if reference.name.partition("__")[0] not in {connection.name for connection in connections}:
                # Keys of a connection may be set apart; what it has is known to the coordinator only.
                _known(reader, reference, names, "`vars`")


def _too_many(reader: Reader, found: Sequence[Connection | Trigger], what: str) -> bool:
    if len(found) <= MOST:
        return False
    extra = found[MOST]
    message = f"there are {len(found)} {what}, more than {MOST}"
    reader.add_at("P0103", extra.line, extra.column, message, "make several projects of it")
    return True


def _known(reader: Reader, reference: Reference, names: Sequence[str], where: str) -> None:
    if reference.name not in names:
        message = f"there is no {reference.kind} {reference.name[:80]!r}"
        reader.add("P0107", reference.node, message, did_you_mean(reference.name, names) or f"define it in {where}")


def _family(reader: Reader, reference: Reference, connections: Sequence[Connection]) -> None:
    """`@family.alias`: a connection of this name, to this service."""
    family, _, alias = reference.name[1:].partition(".")
    found = {f"@{connection.integration}.{connection.name}" for connection in connections}
    if reference.name not in found:
        message = f"there is no connection {alias[:80]!r} to {family[:80]!r}"
        hint = did_you_mean(reference.name, found) or "define it in `connections`; @@ for a plain @"
        reader.add("P0107", reference.node, message, hint)


def _names(reader: Reader, connections: Sequence[Connection], triggers: Sequence[Trigger]) -> None:
    """Events and variables come from a name: no connection may have that of a trigger, and none may be twice."""
    seen: dict[str, Connection | Trigger] = {}
    both: tuple[Connection | Trigger, ...] = (*connections, *triggers)
    for each in both:
        if (first := seen.setdefault(each.name, each)) is not each:
            what = "connection" if isinstance(first, Connection) else "trigger"
            message = f"{each.name!r} is the name of a {what} already"
            reader.add_at("P0103", each.line, each.column, message, f"the first one is in line {first.line}")


def _paths(reader: Reader, triggers: Sequence[Trigger]) -> None:
    seen: dict[str, Trigger] = {}
    for each in triggers:
        path = each.webhook.path if each.webhook else ""
        if path and (first := seen.setdefault(path, each)) is not each:
            message = f"the path {path!r} of {each.name} is that of {first.name} already"
            reader.add_at("P0103", each.line, each.column, message, "name another one")
