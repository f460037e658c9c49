"""YAML as nodes that know their line and column, and a reader that collects every problem, not only the first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from perdure_server.core.errors import PerdureError, Problems, did_you_mean, nearest
from perdure_server.manifest.composing import MAX_BYTES, Loader

PROBLEMS: Final = 200
"""Of one file: whoever has so many is told these, and no more is read."""
DURATION_FORM: Final = r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)"
SIZE_FORM: Final = r"(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)"
_DURATION: Final = re.compile(DURATION_FORM)
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE: Final = re.compile(SIZE_FORM)
_BYTES: Final = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_MOST: Final = 1e15
"""Seconds, or bytes: more of them than anybody has, and they fit every message."""
_LONGEST_S: Final = 36_500 * 86_400
"""Times are kept as microseconds, in 64 bits: a hundred years from now fit there."""
_KINDS: Final = {
    "tag:yaml.org,2002:null": "nothing",
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:int": "a number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:seq": "a list",
    "tag:yaml.org,2002:map": "a mapping",
}


class Reference(NamedTuple):
    """A node whose text names something else of the manifest: of which kind ("connection", "variable"), and what."""

    kind: str
    node: Node
    name: str


class Reader:
    """Reads values out of nodes. A wrong one becomes a problem with its place, and None (or the default) its value.

    `references` is what they refer to: whether that exists can be said when all is read. An unknown key is a problem
    of the code `unknown`; but with `shelves`, where its value has an anchor, it is where that is kept, and no problem.
    """

    def __init__(self, text: str, file: str, unknown: str = "P0102", *, shelves: bool = False) -> None:
        self._lines = text.splitlines()
        self._text = text
        self._file = file
        self._unknown = unknown
        self._shelves = shelves
        self._anchored: Mapping[int, Node] = {}
        self.problems: list[PerdureError] = []
        self.references: list[Reference] = []
        self._hidden: set[int] = set()

    def hide(self, node: Node) -> None:
        """Show none of the node's lines with a problem: there is a secret in them."""
        self._hidden.update(range(node.start_mark.line + 1, node.end_mark.line + 2))

    def refer(self, kind: str, node: Node, name: str) -> None:
        """Note that the node's text names something else."""
        self.references.append(Reference(kind, node, name))

    def root(self) -> Node | None:
        """The document, or None when it is empty. What is no YAML is a problem."""
        if len(self._text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            self.problems.append(PerdureError("P0101", f"the file is larger than {MAX_BYTES} bytes", file=self._file))
            return None
        try:
            loader = Loader(self._text)
            self._anchored = loader.anchored
            return loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = ", ".join(part for part in (error.problem, error.context) if part)
            self.add("P0101", mark, message or "not YAML", _advice(message))
        except yaml.YAMLError as error:
            self.problems.append(PerdureError("P0101", str(error).splitlines()[0], file=self._file))
        return None

    def told(self) -> tuple[PerdureError, ...]:
        """All problems, in order of their place, each once; no line with a secret in it is shown."""
        for problem in self.problems:
            if problem.line in self._hidden:
                problem.source = None
        # What an alias stands for is read wherever it stands.
        each = {(problem.code, problem.message, problem.line, problem.column): problem for problem in self.problems}
        return tuple(sorted(each.values(), key=lambda problem: (problem.line or 0, problem.column or 0)))

    def add(self, code: str, place: Any, message: str, help: str | None = None, within: int = 0) -> None:  # noqa: A002
        """A problem at a node or a mark; `within`: so many characters into it."""
        mark = place.start_mark if isinstance(place, Node) else place
        if mark is None:
            self.problems.append(PerdureError(code, message, help=help, file=self._file))
        else:
            self.add_at(code, mark.line + 1, mark.column + 1 + within, message, help)

    def add_at(self, code: str, line: int, column: int, message: str, help: str | None = None) -> None:  # noqa: A002
        """A problem at a line and column, from 1. Raises `Problems` when there are very many."""
        source = self._lines[line - 1] if line <= len(self._lines) else ""
        self.problems.append(
            PerdureError(code, message, help=help, file=self._file, line=line, column=column, source=source)
        )
        if len(self.problems) >= PROBLEMS:
            for problem in self.problems:
                problem.source = None  # which lines have a secret is not all known yet
            raise Problems(self.told())

    def mapping(self, node: Node | None, what: str, known: Iterable[str] | None = None) -> dict[str, tuple[Node, Node]]:
        """Key -> (its node, its value's node). `known` None: any key. An absent or empty node is an empty mapping."""
        if node is None or is_null(node):
            return {}
        if not isinstance(node, MappingNode):
            self._wrong(node, f"{what} must be a mapping")
            return {}
        found: dict[str, tuple[Node, Node]] = {}
        names = None if known is None else list(known)
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                shown = key.value if isinstance(key, ScalarNode) else "this key"
                self.add("P0103", key, f"{shown} is {_kind(key)}, not text", "put it in quotes")
            elif key.value in found:
                first = found[key.value][0].start_mark.line + 1
                self.add("P0103", key, f"{key.value!r} is given twice", f"the first one is in line {first}")
            elif names is not None and key.value not in names and self._shelves and id(value) in self._anchored:
                continue
            elif names is not None and key.value not in names:
                hint = did_you_mean(key.value, names) or f"known keys: {', '.join(names)}"
                self.add(self._unknown, key, f"unknown key {key.value!r}", hint)
            else:
                found[key.value] = (key, value)
        return found

    def text(self, node: Node, what: str) -> str | None:
        if isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:str":
            return str(node.value)
        self._wrong(node, f"{what} must be text", "put it in quotes" if isinstance(node, ScalarNode) else None)
        return None

    def items(self, node: Node | None, what: str) -> list[Node]:
        """The nodes of a list. An absent or empty node is an empty list."""
        if node is None or is_null(node):
            return []
        if not isinstance(node, SequenceNode):
            self._wrong(node, f"{what} must be a list")
            return []
        return list(node.value)

    def texts(self, node: Node, what: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(
            value for item in self.items(node, what) if (value := self.text(item, f"each of {what}")) is not None
        )

    def boolean(self, node: Node, what: str, default: bool) -> bool:
        if isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:bool":
            return str(node.value).lower() == "true"
        self._wrong(node, f"{what} must be true or false")
        return default

    def number(self, node: Node, what: str, low: float = 0.0, high: float = 1e9) -> float | None:
        if isinstance(node, ScalarNode) and node.tag in {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}:
            value = float(node.value)
            if low <= value <= high:
                return value
            self.add("P0103", node, f"{what} must be between {_number(low)} and {_number(high)}, not {node.value[:80]}")
            return None
        self._wrong(node, f"{what} must be a number")
        return None

    def integer(self, node: Node, what: str, low: int = 0, high: int = 10**9) -> int | None:
        value = self.number(node, what, low, high)
        if value is not None and not value.is_integer():
            self.add("P0103", node, f"{what} must be a whole number")
            return None
        return None if value is None else int(value)

    def duration(self, node: Node, what: str) -> float | None:
        """Seconds."""
        value = self._measure(node, what, _DURATION, _SECONDS, "a duration such as 500ms, 30s, 5m, 2h or 7d")
        if value is not None and value > _LONGEST_S:
            self.add("P0103", node, f"{what} must be at most 36500d")
            return None
        return value

    def size(self, node: Node, what: str) -> int | None:
        """Bytes."""
        value = self._measure(node, what, _SIZE, _BYTES, "a size such as 64KiB or 10MB")
        return None if value is None else int(value)

    def _measure(
        self, node: Node, what: str, form: re.Pattern[str], units: dict[str, float] | dict[str, int], example: str
    ) -> float | None:
        if isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:str":
            match = form.fullmatch(node.value.strip())
            if match:
                value = float(match[1]) * units[match[2]]
                if value <= _MOST:
                    return value
                self.add("P0103", node, f"{what} must be at most {_number(_MOST)}, not {node.value[:80]!r}")
                return None
            self.add("P0103", node, f"{what} must be {example}, not {node.value!r}")
            return None
        if isinstance(node, ScalarNode) and node.tag in {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}:
            return self.number(node, what, high=_MOST)
        self._wrong(node, f"{what} must be {example}")
        return None

    def _wrong(self, node: Node, message: str, help: str | None = None) -> None:  # noqa: A002
        self.add("P0103", node, f"{message}, not {_kind(node)}", help)


Places = Mapping[str, tuple[Node, Node]]


def places_of(node: Node) -> Places:
    """The nodes of a mapping's keys and values, by key; of anything else none."""
    pairs = node.value if isinstance(node, MappingNode) else ()
    return {str(key.value): (key, value) for key, value in pairs if isinstance(key, ScalarNode)}


def meant(node: Node, known: Iterable[str]) -> frozenset[str]:
    """The known keys that unknown ones of a mapping are probably meant to be: these faults are told already."""
    names = list(known)
    return frozenset(near for key in places_of(node) if key not in names and (near := nearest(key, names)))


def is_null(node: Node) -> bool:
    """Whether a value is not given: nothing, `null` or `~`."""
    return isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _number(value: float) -> str:
    """For people: 1,000,000, not 1e+06."""
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _kind(node: Node) -> str:
    return _KINDS.get(node.tag, f"of the kind {node.tag}")


def _advice(message: str) -> str | None:
    return "indent with spaces" if "\\t" in message else None
