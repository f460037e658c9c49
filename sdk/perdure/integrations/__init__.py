"""Clients of services, made from the named credentials that `perdure connections add` has stored.

    from perdure.integrations import slack_client

    def on_order(event):
        slack_client("team").chat_postMessage(channel="#orders", text="a new one")

Each factory returns the client of the vendor's own library, which your project requires as any other; nothing is
imported before it is needed. Making a client is recorded, its credentials are not; after a crash it is made again.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from perdure.integrations._connection import Connection, ConnectionInitError, connection
    from perdure.integrations._tokens import access_token
    from perdure.integrations.anthropic import anthropic_client
    from perdure.integrations.atlassian import confluence_client, jira_client
    from perdure.integrations.aws import boto3_client
    from perdure.integrations.discord import discord_client
    from perdure.integrations.github import github_client
    from perdure.integrations.google import (
        gmail_client,
        google_calendar_client,
        google_client,
        google_credentials,
        google_sheets_client,
        gspread_client,
    )
    from perdure.integrations.http import http_client
    from perdure.integrations.openai import openai_client
    from perdure.integrations.postgres import postgres_client
    from perdure.integrations.redis import redis_client
    from perdure.integrations.slack import slack_client
    from perdure.integrations.smtp import smtp_client

_HOMES = {
    "_connection": ("Connection", "ConnectionInitError", "connection"),
    "_tokens": ("access_token",),
    "anthropic": ("anthropic_client",),
    "atlassian": ("confluence_client", "jira_client"),
    "aws": ("boto3_client",),
    "discord": ("discord_client",),
    "github": ("github_client",),
    "google": (
        "gmail_client",
        "google_calendar_client",
        "google_client",
        "google_credentials",
        "google_sheets_client",
        "gspread_client",
    ),
    "http": ("http_client",),
    "openai": ("openai_client",),
    "postgres": ("postgres_client",),
    "redis": ("redis_client",),
    "slack": ("slack_client",),
    "smtp": ("smtp_client",),
}

__all__ = [
    "Connection",
    "ConnectionInitError",
    "access_token",
    "anthropic_client",
    "boto3_client",
    "confluence_client",
    "connection",
    "discord_client",
    "github_client",
    "gmail_client",
    "google_calendar_client",
    "google_client",
    "google_credentials",
    "google_sheets_client",
    "gspread_client",
    "http_client",
    "jira_client",
    "openai_client",
    "postgres_client",
    "redis_client",
    "slack_client",
    "smtp_client",
]


def __getattr__(name: str) -> object:
    """Load the module that a name lives in, and keep the name here from then on."""
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(__import__(f"perdure.integrations.{home}", fromlist=names), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
