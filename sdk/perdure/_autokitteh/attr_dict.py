"""Dicts whose items are attributes, too."""

from perdure._event import AttrDict

__all__ = ["AttrDict"]
