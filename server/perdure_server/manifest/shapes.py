"""What a value of the manifest may be: how it is read, and what a JSON schema says of it, in one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from yaml.nodes import MappingNode, Node

from perdure_server.core.errors import did_you_mean
from perdure_server.manifest.nodes import DURATION_FORM, SIZE_FORM, Reader, is_null, meant

Read = Callable[[Reader, Node, str], Any]
"""(reader, the value's node, what it is called) -> the value; None, and a problem for the reader, when it is wrong."""
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """`schema` is what JSON schema can say about that which `read` takes."""

    read: Read
    schema: Schema


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping. `field` is that of the dataclass that is made of it, when it is not the key's own name."""

    shape: Shape
    doc: str
    field: str = ""
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """That of the value, with what the key means."""
        return {"description": self.doc, **self.shape.schema}


TEXT: Final = Shape(Reader.text, {"type": "string"})
TEXTS: Final = Shape(Reader.texts, {"type": ["array", "null"], "items": {"type": "string"}})
DURATION: Final = Shape(
    Reader.duration,
    {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^\\s*{DURATION_FORM}\\s*$"}]},
)
SIZE: Final = Shape(
    Reader.size,
    {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^\\s*{SIZE_FORM}\\s*$"}]},
)


def boolean(default: bool) -> Shape:
    """true or false."""
    return Shape(
        lambda reader, node, what: reader.boolean(node, what, default), {"type": "boolean", "default": default}
    )


def integer(low: int = 0, high: int = 10**9) -> Shape:
    """A whole number."""
    return Shape(
        lambda reader, node, what: reader.integer(node, what, low, high),
        {"type": "integer", "minimum": low, "maximum": high},
    )


def number(low: float = 0.0, high: float = 1e9) -> Shape:
    """A number."""
    return Shape(
        lambda reader, node, what: reader.number(node, what, low, high),
        {"type": "number", "minimum": low, "maximum": high},
    )


def matching(form: str, help: str) -> Shape:  # noqa: A002 - the line it becomes
    """Text of this form, which both Python's regular expressions and those of JavaScript read."""
    compiled = re.compile(form)

    def read(reader: Reader, node: Node, what: str) -> str | None:
        text = reader.text(node, what)
        if text is None or compiled.fullmatch(text):
            return text
        reader.add("P0103", node, f"{text[:80]!r} is no valid {what}", help)
        return None

    return Shape(read, {"type": "string", "pattern": f"^(?:{form})$"})


def choice(*names: str) -> Shape:
    """One of these texts."""

    def read(reader: Reader, node: Node, what: str) -> str | None:
        text = reader.text(node, what)
        if text is None or text in names:
            return text
        reader.add("P0103", node, f"{what} is one of {', '.join(names)}, not {text[:80]!r}", did_you_mean(text, names))
        return None

    return Shape(read, {"type": "string", "enum": list(names)})


def record(make: Callable[..., Any], keys: Mapping[str, Key], short: str = "") -> Shape:
    """A mapping of these keys, of which `make` makes something. `short`: what is no mapping is this key's value."""

    def read(reader: Reader, node: Node, what: str) -> Any:
        if short and not isinstance(node, MappingNode) and not is_null(node):
            found = keys[short].shape.read(reader, node, what)
            return None if found is None else make(**{keys[short].field or short: found})
        values, complete = read_keys(reader, node, what, keys)
        return make(**values) if complete else None

    schema = object_schema(keys)
    return Shape(read, {"anyOf": [keys[short].shape.schema, schema]} if short else schema)


def named(of: Shape, what: str, form: str, help: str) -> Shape:  # noqa: A002 - the line it becomes
    """A mapping with any names of this form as keys: a list of (name, its node, the value that was read)."""
    compiled = re.compile(form)

    def read(reader: Reader, node: Node, key: str) -> list[tuple[str, Node, Any]]:
        found = []
        for name, (place, value) in reader.mapping(node, key).items():
            if not compiled.fullmatch(name):
                reader.add("P0103", place, f"{name[:80]!r} is no name of a {what}", help)
            found.append((name, place, of.read(reader, value, f"{what} {name}")))
        return found

    return Shape(
        read,
        {"type": ["object", "null"], "propertyNames": {"pattern": f"^(?:{form})$"}, "additionalProperties": of.schema},
    )


def read_keys(reader: Reader, node: Node, what: str, keys: Mapping[str, Key]) -> tuple[dict[str, Any], bool]:
    """What was read, by field, without what is wrong; and whether all that is required is there."""
    found = reader.mapping(node, what, keys)
    values: dict[str, Any] = {}
    for name, (_, value) in found.items():
        read = keys[name].shape.read(reader, value, name)
        if read is not None:
            values[keys[name].field or name] = read
    required = [(name, key) for name, key in keys.items() if key.required]
    if isinstance(node, MappingNode) or is_null(node):
        told = meant(node, keys)
        for name, _ in required:
            if name not in found and name not in told:
                reader.add("P0104", node, f"{what} has no `{name}`", keys[name].doc)
    return values, all((key.field or name) in values for name, key in required)


def object_schema(keys: Mapping[str, Key]) -> dict[str, Any]:
    """Of a mapping with these keys and no others."""
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: key.schema() for name, key in keys.items()},
    }
    required = _required(keys)
    return schema | {"required": required} if required else {**schema, "type": ["object", "null"]}


def _required(keys: Mapping[str, Key]) -> list[str]:
    return [name for name, key in keys.items() if key.required]


def any_of(*schemas: Schema) -> Schema:
    """What one of these says."""
    return {"anyOf": list(_flat(schemas))}


def _flat(schemas: Iterable[Schema]) -> Iterable[Schema]:
    for schema in schemas:
        yield from schema["anyOf"] if list(schema) == ["anyOf"] else [schema]
