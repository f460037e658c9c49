"""The key `limits`: what one session may use, and how many sessions a deployment may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from perdure_proto.v1 import runner_pb2
from yaml.nodes import Node

from perdure_server.core.errors import Problems
from perdure_server.manifest.nodes import Reader
from perdure_server.manifest.shapes import DURATION, SIZE, Schema, Shape

_MIB: Final = 1024 * 1024
_OF_THE_DEPLOYMENT: Final = frozenset({"sessions", "queue"})  # the coordinator's to keep, no runner hears of them


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one session; the last two, of a deployment. Sizes are in bytes; 0 means no limit."""

    payload_bytes: int = 64 * _MIB
    journal_entries: int = 100_000
    log_bytes: int = 16 * _MIB
    log_line_bytes: int = 16 * 1024
    memory_bytes: int = 2048 * _MIB
    cpus: float = 0.0  # processors' worth of time; 1.5: one and a half
    processes: int = 256  # and threads
    open_files: int = 1024
    disk_bytes: int = 512 * _MIB  # in /tmp and the working directory together
    files: int = 20_000  # there
    run_s: float = 0.0  # that one runner may take, from its start to the end or to the next suspension
    sessions: int = 0  # that have a runner at once
    queue: int = 0  # that wait for a runner

    def within(self, ceiling: Limits) -> Limits:
        """The lower of both, each."""
        lower = {name: min(filter(None, (mine, most)), default=0) for name, mine, most in _pairs(self, ceiling)}
        return Limits(**lower)

    def to_proto(self) -> runner_pb2.Limits:
        """What a runner's host has to hold."""
        return runner_pb2.Limits(
            **{name: value for name, value in asdict(self).items() if name not in _OF_THE_DEPLOYMENT}
        )


def _pairs(one: Limits, other: Limits) -> Iterator[tuple[str, Any, Any]]:
    return ((each.name, getattr(one, each.name), getattr(other, each.name)) for each in fields(Limits))


def parse_limits(text: str, origin: str) -> Limits:
    """From "memory=1GiB,processes=64"; what is not named has no limit. `Problems` (P0102, P0103) tell `origin`."""
    lines = [part.strip().replace("=", ": ", 1) for part in text.split(",")]
    reader = Reader("\n".join(lines), origin)
    found = _read(reader, reader.root())
    if problems := reader.told():
        raise Problems(problems)
    return replace(NONE, **found)


def _read(reader: Reader, node: Node | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, (_, value) in reader.mapping(node, "limits", _KEYS).items():
        name, read = _KEYS[key]
        found = read(reader, value, key)
        if found is not None:
            values[name] = found
    return values


NONE: Final = Limits(*(0 for _ in fields(Limits)))


def _count(reader: Reader, node: Node, key: str) -> int | None:
    return reader.integer(node, key)


def _entries(reader: Reader, node: Node, key: str) -> int | None:
    return reader.integer(node, key, low=1)


def _share(reader: Reader, node: Node, key: str) -> float | None:
    return reader.number(node, key, high=1024)


_KEYS: Final[Mapping[str, tuple[str, Callable[[Reader, Node, str], float | int | None]]]] = {
    "payload": ("payload_bytes", Reader.size),
    "journal_entries": ("journal_entries", _entries),
    "log": ("log_bytes", Reader.size),
    "log_line": ("log_line_bytes", Reader.size),
    "memory": ("memory_bytes", Reader.size),
    "cpus": ("cpus", _share),
    "processes": ("processes", _count),
    "open_files": ("open_files", _count),
    "disk": ("disk_bytes", Reader.size),
    "files": ("files", _count),
    "run_time": ("run_s", Reader.duration),
    "sessions": ("sessions", _count),
    "queue": ("queue", _count),
}

_SCHEMAS: Final[Mapping[object, Schema]] = {
    Reader.size: SIZE.schema,
    Reader.duration: DURATION.schema,
    _count: {"type": "integer", "minimum": 0},
    _entries: {"type": "integer", "minimum": 1},
    _share: {"type": "number", "minimum": 0, "maximum": 1024},
}
LIMITS: Final = Shape(
    lambda reader, node, _: Limits(**_read(reader, node)),
    {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {key: _SCHEMAS[read] for key, (_, read) in _KEYS.items()},
    },
)
