"""The key `activities`: how calls are treated, by their qualified names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from yaml.nodes import Node

from perdure_server.manifest.nodes import Reader, places_of
from perdure_server.manifest.shapes import (
    DURATION,
    TEXTS,
    Key,
    Shape,
    boolean,
    integer,
    number,
    object_schema,
    read_keys,
    record,
)


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` 0 means no limit. `on` names classes of exceptions; empty: Exception."""

    attempts: int = 3
    initial_delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    jitter: float = 0.1
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActivityPolicy:
    """How calls are treated whose qualified name matches `pattern` (as fnmatch). The first match counts."""

    pattern: str
    retry: Retry | None = None
    timeout_s: float = 0.0  # 0: none
    at_most_once: bool = False
    record: bool = True  # False: run it directly, it is known to be deterministic


_RETRY: Final = record(
    Retry,
    {
        "attempts": Key(integer(high=1_000_000), "attempts in all; 0: no limit"),
        "initial_delay": Key(DURATION, "before the second attempt", "initial_delay_s"),
        "factor": Key(number(1.0, 1000.0), "what each delay is longer by"),
        "max_delay": Key(DURATION, "the longest delay", "max_delay_s"),
        "jitter": Key(number(high=1.0), "share of a delay that is random"),
        "on": Key(TEXTS, "classes of exceptions, by their qualified names; default: Exception"),
    },
    short="attempts",
)
_KEYS: Final = {
    "retry": Key(_RETRY, "a number of attempts, or when and how often"),
    "timeout": Key(DURATION, "of one attempt", "timeout_s"),
    "at_most_once": Key(boolean(False), "never run it a second time, not even after a crash in the middle"),
    "record": Key(boolean(True), "false: run it directly, it is deterministic"),
}


def _policies(reader: Reader, node: Node, what: str) -> tuple[ActivityPolicy, ...]:
    keys = reader.mapping(node, what)
    return tuple(_policy(reader, pattern, value) for pattern, (_, value) in keys.items())


def _policy(reader: Reader, pattern: str, node: Node) -> ActivityPolicy:
    values: dict[str, Any]
    values, _ = read_keys(reader, node, f"activity {pattern!r}", _KEYS)
    policy = ActivityPolicy(pattern, **values)
    if not policy.record and len(values) > 1:
        reader.add("P0103", places_of(node)["record"][0], "what is not recorded has no retry, timeout or at_most_once")
    if policy.at_most_once and policy.retry is not None and policy.retry.attempts != 1:
        reader.add("P0103", places_of(node)["at_most_once"][0], "at_most_once and retry exclude each other")
    return policy


ACTIVITIES: Final = Shape(_policies, {"type": ["object", "null"], "additionalProperties": object_schema(_KEYS)})
