"""A manifest's text with other values of variables, as `perdure run --var` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from perdure_server.manifest.autokitteh import AUTOKITTEH_FILE, KNOWN
from perdure_server.manifest.composing import plain


def with_values(file: str, text: bytes, values: Mapping[str, str]) -> bytes:
    """The manifest (already found sound) with these values; what else it says of a variable stays."""
    content: dict[str, Any] = plain(text) or {}
    changed = _theirs(_known(content), values) if file == AUTOKITTEH_FILE else _ours(content, values)
    return yaml.safe_dump(changed, encoding="utf-8", allow_unicode=True, sort_keys=False)


def _ours(content: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    declared = dict(content.get("vars") or {})
    for name, value in values.items():
        said = declared.get(name)
        kept = {key: fact for key, fact in said.items() if key != "env"} if isinstance(said, dict) else {}
        declared[name] = kept | {"value": _plain(value)}
    return content | {"vars": declared}


def _theirs(content: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    project = content["project"]
    declared = {each["name"]: each for each in project.get("vars") or ()}
    for name, value in values.items():
        declared[name] = {**declared.get(name, {"name": name}), "value": value}
    return content | {"project": project | {"vars": list(declared.values())}}


def _known(content: Any) -> Any:
    """Without keys under which something was kept for aliases: what is written here has none of these."""
    match content:
        case dict():
            return {key: _known(value) for key, value in content.items() if key in KNOWN}
        case list():
            return [_known(each) for each in content]
        case _:
            return content


def _plain(value: str) -> str:
    """A value in which nothing refers to anything."""
    text = value.replace("${", "$${")
    return f"@{text}" if text.startswith("@") else text
