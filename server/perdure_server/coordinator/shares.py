"""What the operator lets each project, session and event have of what the coordinator keeps for all: `--shares`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from yaml.nodes import Node

from perdure_server.core.errors import Problems
from perdure_server.manifest.nodes import Reader


def _count(reader: Reader, node: Node, key: str) -> int | None:
    return reader.integer(node, key, low=1)


KEYS: Final[Mapping[str, tuple[str, Callable[[Reader, Node, str], int | None]]]] = {
    "value": ("value_bytes", Reader.size),
    "values": ("project_values", _count),
    "status": ("status_bytes", Reader.size),
    "event": ("event_bytes", Reader.size),
    "outcome": ("outcome_bytes", Reader.size),
    "outcomes": ("event_outcomes", _count),
    "signal": ("signal_bytes", Reader.size),
    "signals": ("session_signals", _count),
    "children": ("session_children", _count),
    "data": ("project_bytes", Reader.size),
    "pending": ("project_pending", _count),
    "ticks": ("project_ticks", _count),
}
"""Names in `--shares`, and the fields of `Settings` that they stand for."""


def parse_shares(text: str, origin: str) -> dict[str, Any]:
    """Fields of `Settings` from "values=1000,value=16KiB". `Problems` (P0102, P0103) tell `origin`."""
    lines = [part.strip().replace("=", ": ", 1) for part in text.split(",")]
    reader = Reader("\n".join(lines), origin)
    found = reader.mapping(reader.root(), "shares", KEYS)
    read = {KEYS[key][0]: KEYS[key][1](reader, value, key) for key, (_, value) in found.items()}
    if problems := reader.told():
        raise Problems(problems)
    return read
