"""Answers to events."""

from collections.abc import Mapping
from typing import Any

from perdure import _outcomes

__all__ = ["http_outcome", "outcome"]


def outcome(v: Any, *, event_id: str | None = None) -> None:
    """Answer the event that started the session, or the one with this id, with what JSON can say."""
    _outcomes.outcome(v, event_id)


def http_outcome(
    status_code: int = 200,
    body: Any = None,  # by its place, too: their runner takes it so, and projects rely on it
    *,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    more: bool = False,
    event_id: str | None = None,
) -> None:
    """Answer whoever has called a webhook whose trigger is synchronous."""
    _outcomes.http_outcome(status_code, body=body, json=json, headers=headers, more=more, event_id=event_id)
