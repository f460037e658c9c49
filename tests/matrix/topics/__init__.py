"""The probes by topic."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from matrix.probe import Probe

_NAMES: Final = (
    "calls",
    "definitions",
    "modules",
    "routed",
    "inherited",
    "handles",
    "concurrency",
    "changes",
    "failures",
    "libraries",
)

TOPICS: Final[dict[str, list[Probe]]] = {name: import_module(f"matrix.topics.{name}").PROBES for name in _NAMES}
"""Name of the topic -> its probes."""
