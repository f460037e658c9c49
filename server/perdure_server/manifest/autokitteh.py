"""`autokitteh.yaml`, versions v1 and v2: a manifest of AutoKitteh, read as it is.

All keys of theirs are known; `timezone` of a trigger, which their schema lacks, is one more, and so is any key whose
value has an anchor: theirs ignores keys that it does not know, and some keep what they merge under one. A trigger
without `type` is what its other keys say. Sessions are durable by default in v1, and not in v2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from yaml.nodes import Node, ScalarNode

from perdure_server.core.errors import did_you_mean
from perdure_server.core.integrations import of_manifest
from perdure_server.manifest.connections import Connection, knows_secret
from perdure_server.manifest.nodes import Places, Reader, is_null, places_of
from perdure_server.manifest.shapes import TEXT, Key, Shape, choice, matching, read_keys
from perdure_server.manifest.their_schedules import as_ours
from perdure_server.manifest.trigger_keys import ENTRY, FILTER, TYPES, check_schedule
from perdure_server.manifest.triggers import Schedule, Trigger, TriggerType, Webhook
from perdure_server.manifest.variables import Variable

AUTOKITTEH_FILE: Final = "autokitteh.yaml"

_DURABLE: Final[Mapping[str, bool]] = {"v1": True, "v2": False}
_WEBHOOK: Final = Webhook(keep_headers=("*",))
"""Handlers of theirs see all headers: a header is all by which many of them know who calls."""
_SYMBOL: Final = matching(r"[A-Za-z_][A-Za-z0-9_-]*", "use letters, digits, '_' and '-'")


@dataclass(frozen=True, slots=True)
class Found:
    """What their manifest says. `name` is empty where it has none."""

    name: str = ""
    vars: tuple[Variable, ...] = ()
    connections: tuple[Connection, ...] = ()
    triggers: tuple[Trigger, ...] = ()


def _scalar(reader: Reader, node: Node, what: str) -> str | None:
    """Text; also a number or a boolean, by how it is written, and nothing: values of variables are not in quotes."""
    if isinstance(node, ScalarNode):
        return "" if is_null(node) else str(node.value)
    return reader.text(node, what)


def _optional(of: Shape) -> Shape:
    """Nothing and "" are as if the key were not there."""

    def read(reader: Reader, node: Node, what: str) -> Any:
        return None if isinstance(node, ScalarNode) and not node.value else of.read(reader, node, what)

    return Shape(read, {"anyOf": [{"type": "null"}, {"const": ""}, of.schema]})


def _webhook(reader: Reader, node: Node, what: str) -> Webhook:
    reader.mapping(node, what, ())
    return _WEBHOOK


def _connection_of(reader: Reader, node: Node, what: str) -> str | None:
    name = reader.text(node, what)
    if name is not None:
        reader.refer("connection", node, name)
    return name


def _yes_or_no(reader: Reader, node: Node, what: str) -> bool | None:
    """gopkg.in/yaml.v3 takes YAML 1.1's words where Go wants a bool, and nothing for what is not said."""
    if is_null(node):
        return None
    if isinstance(node, ScalarNode) and node.value in _WORDS:
        return _WORDS[node.value]
    return reader.boolean(node, what, False)


_WORDS: Final = {"y": True, "Y": True, "yes": True, "on": True, "n": False, "N": False, "no": False, "off": False}
_BOOL: Final = Shape(_yes_or_no, {"enum": [True, False, None, *_WORDS]})
_SCALAR: Final = Shape(_scalar, {"type": ["string", "number", "boolean", "null"]})
_VAR: Final = {
    "name": Key(_SYMBOL, "the variable", required=True),
    "value": Key(_SCALAR, "its value"),
    "description": Key(_SCALAR, "for people"),
    "secret": Key(_BOOL, "it is encrypted, and masked in all output"),
}
_NODE: Final = Shape(lambda _reader, node, _what: node, {})  # what it holds depends on its neighbours
_CONNECTION: Final = {
    "name": Key(_SYMBOL, "the connection", required=True),
    "integration": Key(TEXT, "the service that it leads to", required=True),
    "vars": Key(_NODE, "values of the connection"),
}
_TRIGGER: Final = {
    "name": Key(_SYMBOL, "the trigger", required=True),
    "type": Key(choice(*TYPES), "default: what the other keys say"),
    "schedule": Key(_optional(TEXT), "cron of 5 to 7 fields, @every 5m, @daily, ...", "text"),
    "timezone": Key(_optional(TEXT), "of the schedule; default: UTC"),
    "webhook": Key(Shape(_webhook, {"type": ["object", "null"]}), "an HTTP request"),
    "connection": Key(_optional(Shape(_connection_of, TEXT.schema)), "what a connection's service sends"),
    "event_type": Key(_optional(TEXT), "connection: events of this type only"),
    "filter": Key(_optional(FILTER), "CEL over data and event_type: other events are dropped"),
    "is_durable": Key(_BOOL, "default: true in v1, false in v2", "durable"),
    "is_sync": Key(_BOOL, "webhook: the caller waits for an outcome", "sync"),
    "call": Key(_optional(ENTRY), "FILE.py:FUNCTION that each event starts; none: sessions subscribe to it"),
}
_ROOT: Final = ("version", "project")
_PROJECT: Final = ("name", "display_name", "connections", "triggers", "vars")
KNOWN: Final = frozenset({*_ROOT, *_PROJECT, *_VAR, *_CONNECTION, *_TRIGGER})
"""All keys of theirs, wherever they stand."""


def read_autokitteh(reader: Reader) -> Found:
    """What is wrong is the reader's to tell: P0109 a version or key that they do not have, P0101 to P0107."""
    root = reader.root()
    if root is None and reader.problems:
        return Found()
    if root is None:
        reader.add("P0109", None, "the manifest is empty", "it begins with `version: v1` or `version: v2`")
        return Found()
    keys = reader.mapping(root, "the manifest", _ROOT)
    version = _version(reader, root, keys)
    if "project" not in keys:
        reader.add("P0104", root, "the manifest has no `project`", "put name, vars, connections and triggers in it")
        return Found()
    project = reader.mapping(keys["project"][1], "project", _PROJECT)
    values = {name: value for name, (_, value) in project.items()}
    if "display_name" in values:
        _scalar(reader, values["display_name"], "display_name")
    return Found(
        name=_SYMBOL.read(reader, values["name"], "name") or "" if "name" in values else "",
        vars=_variables(reader, values.get("vars"), ""),
        connections=_connections(reader, values.get("connections")),
        triggers=_triggers(reader, values.get("triggers"), durable=_DURABLE.get(version, True)),
    )


def _version(reader: Reader, root: Node, keys: Mapping[str, tuple[Node, Node]]) -> str:
    if "version" not in keys:
        reader.add("P0109", root, "the manifest has no `version`", "write `version: v1` or `version: v2`")
        return ""
    node = keys["version"][1]
    text = _scalar(reader, node, "version") or ""
    if text not in _DURABLE:
        hint = did_you_mean(f"v{text}", _DURABLE) or "v1 and v2 are read"
        reader.add("P0109", node, f"version {text[:80]!r} is not known", hint)
    return text


def _variables(reader: Reader, node: Node | None, integration: str) -> tuple[Variable, ...]:
    """Of the project, or (with its integration) of a connection. Their values are in the file, secret ones, too."""
    found = []
    of = of_manifest(integration) if integration else None
    for item in reader.items(node, "vars"):
        values, complete = read_keys(reader, item, "a variable", _VAR)
        name = values.get("name", "")
        secret = values.get("secret", False) or (of is not None and knows_secret(of, name))
        if secret and (value := places_of(item).get("value")) is not None:
            reader.hide(value[1])
        if complete:
            found.append(Variable(name, values.get("value", ""), None, secret, *_place(item)))
    _once(reader, found)
    return tuple(found)


def _once(reader: Reader, variables: list[Variable]) -> None:
    seen: dict[str, Variable] = {}
    for each in variables:
        if (first := seen.setdefault(each.name, each)) is not each:
            message = f"variable {each.name} is given twice"
            reader.add_at("P0103", each.line, each.column, message, f"the first one is in line {first.line}")


def _connections(reader: Reader, node: Node | None) -> tuple[Connection, ...]:
    found = []
    for item in reader.items(node, "connections"):
        values, complete = read_keys(reader, item, "a connection", _CONNECTION)
        variables = _variables(reader, values.pop("vars", None), values.get("integration", "generic"))
        if complete:
            line, column = _place(item)
            found.append(Connection(**values, vars=variables, line=line, column=column))
    return tuple(found)


def _triggers(reader: Reader, node: Node | None, *, durable: bool) -> tuple[Trigger, ...]:
    read = [_trigger(reader, item, durable) for item in reader.items(node, "triggers")]
    return tuple(trigger for trigger in read if trigger is not None)


def _trigger(reader: Reader, node: Node, durable: bool) -> Trigger | None:
    values, complete = read_keys(reader, node, "a trigger", _TRIGGER)
    if not complete:
        return None
    places = places_of(node)
    kind = _kind(reader, node, values, places)
    if kind is None:
        return None
    schedule = None
    if text := values.pop("text", None):
        place = places["schedule"][1]
        schedule = Schedule(as_ours(text), values.pop("timezone", "UTC"))
        check_schedule(reader, schedule, place, places.get("timezone", (place, place))[1])
    values.pop("timezone", None)
    if values.get("sync") and kind != "webhook":
        reader.add("P0103", places["is_sync"][0], "`is_sync` goes with `webhook` only", f"remove it, or `{kind}`")
    if kind != "connection" and "event_type" in values:
        values["filter"] = _also_of_type(values.pop("event_type"), values.get("filter", ""))
    if kind == "webhook":
        values["webhook"] = _WEBHOOK
    line, column = _place(node)
    return Trigger(**{"durable": durable} | values | {"type": kind}, schedule=schedule, line=line, column=column)


def _also_of_type(event_type: str, condition: str) -> str:
    """A filter that lets pass this type only: of a webhook's events it is the method, in lower case."""
    same = f"event_type == {json.dumps(event_type)}"
    return f"{same} && ({condition})" if condition else same


def _kind(reader: Reader, node: Node, values: Mapping[str, Any], places: Places) -> TriggerType | None:
    """What it says, or is by its keys; None, and a problem, when these say different things or nothing."""
    has = {"schedule": "text" in values, "webhook": "webhook" in places, "connection": "connection" in values}
    kinds = [name for name in TYPES if has[name]]
    said: TriggerType | None = values.get("type") or (kinds[0] if len(kinds) == 1 else None)
    for name in kinds:
        if said is not None and name != said:
            reader.add("P0103", places[name][0], f"a trigger of type {said} has no `{name}`", f"remove it, or {said}")
    if said is None and "type" in places and "type" not in values:
        return None  # what it says is told to be wrong already
    if said is None:
        message = "a trigger is of more types than one" if kinds else "a trigger has no `type`"
        reader.add("P0104", node, message, f"one of {', '.join(TYPES)}")
    elif said != "webhook" and said not in kinds and not (said in places and said == "connection"):
        reader.add("P0104", node, f"a trigger of type {said} has no `{said}`", _TRIGGER[said].doc)
        return None
    return said


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
