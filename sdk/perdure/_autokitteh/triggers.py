"""Triggers of the project."""

import os

__all__ = ["get_webhook_url"]


def get_webhook_url(trigger_name: str) -> str:
    """The address of a webhook. Raises ValueError where the project has no such trigger, or nothing serves it."""
    url = os.environ.get(f"{trigger_name}__webhook_url")
    if not url:
        raise ValueError(f"trigger {trigger_name!r} has no address")
    return url
