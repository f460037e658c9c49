"""Telegram."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["telegram_client"]


@activity
def telegram_client(connection: str) -> Any:
    """A `telegram.Bot`. It reads `BotToken`."""
    values = Connection(connection)
    return vendor("telegram", "python-telegram-bot").Bot(token=values.need("BotToken"))
