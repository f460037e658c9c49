"""YAML's core schema of 1.2 with anchors, aliases and merge keys, as nodes that know their places.

An alias is the very node that it stands for. So a document has to be no larger, and no deeper, with its aliases written
out than it may be without any: readers go through it as if they were. Merge keys (`<<`) are gone from what is composed,
and mean what they do to gopkg.in/yaml.v3, which reads AutoKitteh's manifests: what a mapping says itself counts, then
the first one that is merged. Source: https://yaml.org/type/merge.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 20

_STR: Final = "tag:yaml.org,2002:str"
# Plain scalars that are not text, as in the core schema of YAML 1.2: `on`, `no` and `1:30` are text.
_PLAIN: Final = (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+", [*"-+0123456789"]),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
)
_PROPERTIES: Final = re.compile(r"(?:[&!]\S*[ \t]+)+")
"""What may stand before a scalar: its anchor and its tag."""


class Loader(yaml.SafeLoader):
    """`anchored`: the nodes that have an anchor, or one in them, by their ids."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.anchored: dict[int, Node] = {}
        self._text = text
        self._anchors = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # of nodes with an anchor: characters, and levels
        self._added = 0  # characters that aliases stand for, so far
        self._depth = 0
        self._reached = 0  # the depth of what is deepest in the node that is being composed

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.check_event(yaml.AliasEvent):
            return self._alias(parent, index)
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self.anchors.pop(event.anchor, None)  # the same name may be given again: from there on it is that node's
        self._enter(event.start_mark)
        outside, self._reached = self._reached, self._depth
        added, anchors = self._added, self._anchors
        self._anchors += event.anchor is not None
        node = super().compose_node(parent, index)
        assert node is not None
        if event.anchor is not None:
            chars = node.end_mark.index - node.start_mark.index + self._added - added
            self._sizes[id(node)] = (chars, self._reached - self._depth + 1)
            if isinstance(node, ScalarNode):
                node.start_mark = self._behind_properties(node.start_mark)
        if self._anchors > anchors:
            self.anchored[id(node)] = node
        self._reached = max(outside, self._reached)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node = super().compose_mapping_node(anchor)
        node.value = _merged(node.value)
        return node

    def _enter(self, mark: yaml.Mark) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="too deeply nested", problem_mark=mark)

    def _alias(self, parent: Node | None, index: Any) -> Node:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        assert node is not None
        if id(node) not in self._sizes:
            raise _wrong(f"the alias *{event.anchor} is in what it stands for", event.start_mark)
        chars, levels = self._sizes[id(node)]
        self._added += chars
        if len(self._text) + self._added > MAX_BYTES:
            raise _wrong(f"with its aliases written out it has more than {MAX_BYTES} characters", event.start_mark)
        self._reached = max(self._reached, self._depth + levels)
        if self._reached > MAX_DEPTH:
            raise _wrong("too deeply nested", event.start_mark)
        return node

    def _behind_properties(self, mark: yaml.Mark) -> yaml.Mark:
        """Where the scalar itself begins, if in the same line: columns in it count from there."""
        match = _PROPERTIES.match(self._text, mark.index)
        skip = len(match[0]) if match is not None else 0
        return yaml.Mark(mark.name, mark.index + skip, mark.line, mark.column + skip, mark.buffer, mark.pointer)


Loader.yaml_implicit_resolvers = {}
for _kind_name, _form, _first in _PLAIN:
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind_name}", re.compile(f"(?:{_form})$"), _first)


def plain(text: str | bytes) -> Any:
    """The document as plain data. For text that is known to be sound."""
    return yaml.load(text if isinstance(text, str) else text.decode("utf-8-sig"), Loader)  # noqa: S506 - it is safe


def _merged(pairs: list[tuple[Node, Node]]) -> list[tuple[Node, Node]]:
    merges = [pair for pair in pairs if _is_merge(pair[0])]
    if not merges:
        return pairs
    if len(merges) > 1:
        raise _wrong("'<<' is given twice in a mapping: it takes a list, too", merges[1][0].start_mark)
    found = [pair for pair in pairs if not _is_merge(pair[0])]
    names = {_name(key) for key, _ in found}
    for key, value in _pairs(merges[0][1]):
        if _name(key) not in names:
            names.add(_name(key))
            found.append((key, value))
    return found


def _pairs(merged: Node) -> Iterator[tuple[Node, Node]]:
    for each in merged.value if isinstance(merged, SequenceNode) else [merged]:
        if not isinstance(each, MappingNode):
            raise _wrong("'<<' takes a mapping, or a list of mappings", each.start_mark)
        yield from each.value


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.value == "<<" and key.style is None and key.tag == _STR


def _name(key: Node) -> tuple[str, str] | int:
    """What makes a key the same as another one."""
    return (key.tag, key.value) if isinstance(key, ScalarNode) else id(key)


def _wrong(problem: str, mark: yaml.Mark | None) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
