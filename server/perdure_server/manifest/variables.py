"""The key `vars`: variables of the project's sessions, and where their values come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode

from perdure_server.manifest.nodes import Reader
from perdure_server.manifest.shapes import TEXT, Key, Shape, any_of, boolean, object_schema

OURS: Final = "PERDURE_"
NAME_FORM: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_NAME: Final = re.compile(NAME_FORM)
_REFERENCE: Final = re.compile(
    r"\$(?P<escaped>\$(?=\{))|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
)
_BARE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_CONNECTION: Final = re.compile(r"@[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Variable:
    """`MODE: text`, `MODE: {env: NAME, value: text if NAME is not set}`, or a secret: `TOKEN: {secret: true}`.

    In `value`, `${NAME}` and `${NAME:-default}` stand for variables of the environment. The value of a secret is
    never in `perdure.yaml`, which is part of the build: it comes from the environment, or is set apart.
    """

    name: str
    value: str | None = None
    env: str | None = None
    secret: bool = False
    line: int = 0
    column: int = 0


class Unset(Exception):  # noqa: N818 - it is what somebody forgot
    """`${NAME}` is not set in the environment and has no default. Its argument is the name."""


def expand(text: str, environment: Mapping[str, str]) -> str:
    """The text with what its `${NAME}` and `${NAME:-default}` stand for; `$${` is `${`. `@@` at its start is `@`.

    Raises `Unset`.
    """

    def value(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        given = environment.get(found["name"])
        if given:
            return given
        if found["default"] is not None:
            return found["default"]
        if given is None:
            raise Unset(found["name"])
        return given

    return _REFERENCE.sub(value, text).removeprefix("@" if text.startswith("@@") else "")


KEYS: Final = {
    "value": Key(TEXT, "its value; ${NAME} and ${NAME:-default} are variables of the environment at deploy"),
    "env": Key(TEXT, "the variable of the environment that it comes from, at deploy; then `value` is the default"),
    "secret": Key(boolean(False), "it is encrypted, and masked in all output; its value is not for the manifest"),
    "description": Key(TEXT, "for people"),
}


def read_variable(
    reader: Reader, name: str, key: Node, node: Node, *, secret: bool = False, setter: str = ""
) -> Variable:
    """A text, or a mapping of `KEYS`. `secret`: it is one, said or not; `setter`: the command that sets such a one."""
    setter = setter or f"perdure vars set {name} --secret"
    line, column = key.start_mark.line + 1, key.start_mark.column + 1
    if isinstance(node, ScalarNode):
        text = reader.text(node, f"variable {name}")
        return Variable(name, _checked(reader, name, node, text, setter if secret else ""), None, secret, line, column)
    keys = reader.mapping(node, f"variable {name}", KEYS)
    values = {each: KEYS[each].shape.read(reader, value, each) for each, (_, value) in keys.items()}
    value, env, secret = values.get("value"), values.get("env"), secret or bool(values.get("secret"))
    if env is not None:
        _not_ours(reader, keys["env"][1], env)
    if value is not None:
        value = _checked(reader, name, keys["value"][1], value, setter if secret else "")
    if isinstance(node, MappingNode) and not secret and "value" not in keys and "env" not in keys:
        reader.add("P0104", key, f"variable {name} has neither `value` nor `env`")
    return Variable(name, value, env, secret, line, column)


def _checked(reader: Reader, name: str, node: Node, text: str | None, setter: str) -> str | None:
    """The value, once what it refers to is known to be well written; `@family.alias` is the name of a connection.

    `setter` is the command that sets it, if it is secret.
    """
    if text is None:
        return None
    if setter and not _BARE.fullmatch(text):
        reader.add(
            "P0103",
            node,
            f"variable {name} is secret: its value is not for the manifest, which is part of the build",
            f"remove it, and set it with `{setter}`",
        )
        reader.hide(node)
        return None
    rest = _REFERENCE.sub(" ", text)
    if "${" in rest:
        wrong = rest[rest.index("${") :][:40]
        reader.add("P0103", node, f"{wrong!r} is no reference", "write ${NAME} or ${NAME:-default}; $${ for a plain ${")
    for found in _REFERENCE.finditer(text):
        _not_ours(reader, node, found["name"] or "")
    if _CONNECTION.fullmatch(text):
        reader.refer("connection", node, text)
        return text.partition(".")[2]
    return text


def _not_ours(reader: Reader, node: Node, name: str) -> None:
    """What only the coordinator is to know stays with it: its environment has its keys and tokens."""
    if name.startswith(OURS):
        reader.add("P0103", node, f"{name} is perdure's own, no project's", f"variables {OURS}* cannot be taken over")


def read_variables(reader: Reader, node: Node, what: str) -> tuple[Variable, ...]:
    """The whole key."""
    found = []
    for name, (key, value) in reader.mapping(node, what).items():
        if not _NAME.fullmatch(name):
            reader.add("P0103", key, f"{name[:80]!r} is no name of a variable", "use letters, digits and '_'")
        found.append(read_variable(reader, name, key, value))
    return tuple(found)


VARIABLES: Final = Shape(
    read_variables,
    {
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{NAME_FORM}$"},
        "additionalProperties": any_of(TEXT.schema, object_schema(KEYS)),
    },
)
