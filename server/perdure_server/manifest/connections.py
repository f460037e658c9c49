"""The key `connections`: named credentials for services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from yaml.nodes import MappingNode, Node

from perdure_server.core.errors import did_you_mean
from perdure_server.core.integrations import INTEGRATIONS, Integration, known, variable
from perdure_server.manifest.nodes import Reader
from perdure_server.manifest.plain import of_json
from perdure_server.manifest.shapes import TEXT, Key, Shape, any_of, named, object_schema
from perdure_server.manifest.variables import NAME_FORM, VARIABLES, Variable, read_variable


@dataclass(frozen=True, slots=True)
class Connection:
    """Sessions see each of `vars` as `<name>__<variable>`; most are set apart, by `perdure connections add`."""

    name: str
    integration: str
    vars: tuple[Variable, ...] = ()
    line: int = 0
    column: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the values of what is secret."""
        data = asdict(self)
        for each in data["vars"]:
            if each["secret"]:
                each["value"] = None
        return data

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Connection:
        """From what `to_json` made."""
        return of_json(cls, data)

    def variables(self) -> tuple[Variable, ...]:
        """As sessions see them."""
        return tuple(replace(each, name=variable(self.name, each.name)) for each in self.vars)


_HELP: Final = "use letters, digits and '_'"
_KEYS: Final = {
    "integration": Key(TEXT, "the service that it leads to", required=True),
    "vars": Key(VARIABLES, "values of the connection; most are set apart, by `perdure connections add`"),
}


@dataclass(frozen=True, slots=True)
class _Found:
    integration: str
    vars: tuple[Variable, ...] = ()


def _read(reader: Reader, node: Node, what: str) -> _Found | None:
    """`slack`, or a mapping of `_KEYS`."""
    if not isinstance(node, MappingNode):
        return _known(reader, node, reader.text(node, what))
    keys = reader.mapping(node, what, _KEYS)
    if "integration" not in keys:
        reader.add("P0104", node, f"{what} has no `integration`", f"there are: {', '.join(INTEGRATIONS)}")
        return None
    place = keys["integration"][1]
    found = _known(reader, place, reader.text(place, "integration"))
    if found is None or "vars" not in keys:
        return found
    return replace(found, vars=_vars(reader, keys["vars"][1], known(found.integration)))


def _known(reader: Reader, node: Node, name: str | None) -> _Found | None:
    if name is None:
        return None
    if known(name) is None:
        near = did_you_mean(name, INTEGRATIONS)
        reader.add(
            "P0230", node, f"there is no integration {name[:80]!r}", near or "`generic` is for any other service"
        )
        return None
    return _Found(name)


def knows_secret(integration: Integration, name: str) -> bool:
    """Whether the integration has a value of this name that is secret."""
    key = integration.key(name)
    return key is not None and key.secret


def _vars(reader: Reader, node: Node, of: Integration | None) -> tuple[Variable, ...]:
    """Values of a connection; of some of them the integration knows that they are secret."""
    found = []
    for name, (key, value) in reader.mapping(node, "vars").items():
        if of is not None and of.name != "generic" and of.key(name) is None:
            names = [each.name for each in of.keys]
            reader.add(
                "P0102", key, f"{of.name} has no value {name[:80]!r}", did_you_mean(name, names) or f"known: {names}"
            )
            continue
        found.append(
            read_variable(
                reader,
                name,
                key,
                value,
                secret=of is not None and knows_secret(of, name),
                setter="perdure connections add",
            )
        )
    return tuple(found)


_NAMED: Final = named(
    Shape(_read, any_of({"type": "string", "enum": sorted(INTEGRATIONS)}, object_schema(_KEYS))),
    "connection",
    NAME_FORM,
    _HELP,
)


def _connections(reader: Reader, node: Node, what: str) -> tuple[Connection, ...]:
    return tuple(
        Connection(name, found.integration, found.vars, key.start_mark.line + 1, key.start_mark.column + 1)
        for name, key, found in _NAMED.read(reader, node, what)
        if found is not None
    )


CONNECTIONS: Final = Shape(_connections, _NAMED.schema)
