"""Events as handlers get them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class AttrDict(dict[str, Any]):
    """A dict whose items are attributes, too: `event.data.body.json` is `event.data["body"]["json"]`.

    Dicts in it become the same when they are put in, also those in lists. An item that is called like a method of dict
    (`items`, `keys`, ...) is found by `[...]` only. A missing item is KeyError for `[...]` and AttributeError for `.`.
    """

    __module__ = "perdure"

    def __init__(self, *args: Mapping[str, Any] | Iterable[tuple[str, Any]], **items: Any) -> None:
        super().__init__()
        self.update(*args, **items)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(list(self)[:20]) or "nothing"
            raise AttributeError(f"there is no {name!r} here, only: {known}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} here") from None

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, _with_attributes(value))

    def __dir__(self) -> Iterator[str]:
        return iter([*super().__dir__(), *self])

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As dict's."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *args: Any, **items: Any) -> None:
        """As dict's."""
        for name, value in dict(*args, **items).items():
            self[name] = value

    def copy(self) -> AttrDict:
        """As dict's; the copy has attributes, too."""
        return AttrDict(self)


@dataclass(frozen=True)
class Event:
    """Something that happened outside, and what is known of it.

    data: what it brought; of a webhook: `body` (`bytes`, `text`, `form`, `json`), `headers`, `method`, `url`, ...
    source: name of the trigger or the connection that it came from. memo: texts that whoever sent it added.
    session_id: of the session that it started; None of events that came later.
    """

    __module__ = "perdure"

    data: AttrDict = field(default_factory=AttrDict)
    event_type: str = ""
    event_id: str = ""
    source: str = ""
    source_type: str = ""
    created_at: datetime | None = None
    memo: Mapping[str, str] = field(default_factory=AttrDict)
    session_id: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Event:
        """The event that is written like this in JSON: keys as the fields, times as RFC 3339 has them."""
        created_at = value.get("created_at")
        return cls(
            data=_data(value.get("data"), value.get("source_type", "")),
            event_type=value.get("event_type") or "",
            event_id=value.get("event_id") or "",
            source=value.get("source") or "",
            source_type=value.get("source_type") or "",
            created_at=datetime.fromisoformat(created_at) if created_at else None,
            memo=AttrDict(value.get("memo") or {}),
            session_id=value.get("session_id"),
        )


def _data(data: Any, source_type: str) -> AttrDict:
    if not isinstance(data, dict):
        return AttrDict() if data is None else AttrDict(value=data)
    made = AttrDict(data)
    if source_type == "webhook":
        body_as_bytes(made)
    return made


def body_as_bytes(data: AttrDict) -> None:
    """Make bytes of a webhook's body, which JSON has in base64."""
    body = data.get("body")
    if isinstance(body, dict) and isinstance(body.get("bytes"), str):
        try:
            body["bytes"] = base64.b64decode(body["bytes"], validate=True)
        except ValueError:  # somebody sent it by hand, as text
            body["bytes"] = body["bytes"].encode()


def _with_attributes(value: Any) -> Any:
    if type(value) is dict:
        return AttrDict(value)
    if type(value) is list:
        return [_with_attributes(each) for each in value]
    return value
