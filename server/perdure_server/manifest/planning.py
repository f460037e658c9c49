"""What a manifest would change, against the one that is live. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from perdure_server.manifest.manifest import Manifest

SECRET: Final = "(secret)"  # noqa: S105 - what is shown in place of one
_NO_CHANGE: Final = frozenset({"line", "column"})
_PLAIN: Final = ("python", "entry", "network", "runs_on", "callers", "requirements", "limits", "form")


@dataclass(frozen=True, slots=True)
class Change:
    """`kind` is "trigger", "connection", "variable", "activity" or a key of the manifest; `field` what of it differs.

    `before` and `after` are plain data, None where it does not exist.
    """

    change: Literal["added", "removed", "changed"]
    kind: str
    name: str
    field: str = ""
    before: Any = None
    after: Any = None

    def line(self) -> str:
        """For people."""
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.change]
        head = " ".join(part for part in (sign, self.kind, self.name) if part)
        return f"{head} {self.field}: {_shown(self.before)} -> {_shown(self.after)}" if self.field else head


def changes(before: Manifest | None, after: Manifest) -> tuple[Change, ...]:
    """In the manifest's order: what is new and what differs, then what is gone. `before` None: nothing is live."""
    old, new = _named(before or Manifest(after.name)), _named(after)
    found = []
    for (kind, name), value in new.items():
        was = old.get((kind, name))
        if was is None:
            found.append(Change("added", kind, name, after=value))
        else:
            found += [Change("changed", kind, name, *each) for each in _differences(was, value)]
    gone = [Change("removed", kind, name, before=was) for (kind, name), was in old.items() if (kind, name) not in new]
    return (*found, *gone)


def _named(manifest: Manifest) -> dict[tuple[str, str], Mapping[str, Any]]:
    """All parts of a manifest, by kind and name."""
    parts: dict[tuple[str, str], Mapping[str, Any]] = {}
    for variable in manifest.variables:
        value = asdict(variable)
        parts["variable", variable.name] = value | ({"value": SECRET} if variable.secret else {})
    for connection in manifest.connections:
        parts["connection", connection.name] = {"integration": connection.integration}
    for trigger in manifest.triggers:
        parts["trigger", trigger.name] = _flat(trigger.to_json())
    for policy in manifest.activities:
        parts["activity", policy.pattern] = _flat(asdict(policy))
    plain = manifest.to_json()
    return parts | {("manifest", ""): _flat({key: plain[key] for key in _PLAIN})}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Of nested mappings, one: `webhook.path`."""
    found: dict[str, Any] = {}
    for key, each in value.items():
        if isinstance(each, Mapping):
            found |= _flat(each, f"{prefix}{key}.")
        else:
            found[prefix + key] = each
    return found


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in (*new, *(key for key in old if key not in new)):
        if key not in _NO_CHANGE and old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "", ()) else str(value)


def parts_of(manifest: Manifest) -> dict[str, int]:
    """How much of what there is: for a summary."""
    counted = ("triggers", "connections", "vars", "activities")
    return {field.name: len(getattr(manifest, field.name)) for field in fields(manifest) if field.name in counted}
