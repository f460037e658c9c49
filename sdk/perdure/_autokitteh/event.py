"""Events."""

from perdure._event import Event

__all__ = ["Event"]
