"""Expressions as trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class CelError(Exception):
    """The expression is wrong at `offset` (characters from its start)."""

    def __init__(self, message: str, offset: int, help: str = "") -> None:  # noqa: A002 - as PerdureError has it
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.help = help


@dataclass(frozen=True, slots=True)
class Node:
    offset: int
    depth: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    of: Node
    by: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """Of a function, or, with `of`, of a method."""

    name: str
    of: Node | None
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Has(Node):
    select: Select


@dataclass(frozen=True, slots=True)
class Macro(Node):
    """`of.name(variable, *arguments)`."""

    name: str
    of: Node
    variable: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """`cel.bind(variable, value, body)`."""

    variable: str
    value: Node
    body: Node


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    of: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """Any number of terms joined by && or ||: a list, so that a long one is not deep."""

    operator: str
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice(Node):
    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf(Node):
    items: tuple[tuple[Node, Node], ...]
