"""Slack."""

import re

from perdure.integrations.slack import slack_client

__all__ = ["normalize_channel_name", "slack_client"]

_LONGEST = 50


def normalize_channel_name(name: str) -> str:
    """Any text as the name of a channel: lower-case letters, digits, hyphens and underscores, at most 50."""
    plain = re.sub(r"[^a-z0-9_-]", "-", re.sub(r"['\"]", "", name.lower().strip()))
    short = re.sub(r"[_-]{2,}", "-", plain)[:_LONGEST]
    return short.removeprefix("-").removesuffix("-")
