"""Discord."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["bot_token", "discord_client"]


@activity
def discord_client(connection: str, intents: Any = None, **kwargs: Any) -> Any:
    """A `discord.Client` of discord.py, to be run with `bot_token(connection)`."""
    bot_token(connection)
    discord = vendor("discord", "discord.py")
    return discord.Client(intents=intents or discord.Intents.default(), **kwargs)


def bot_token(connection: str) -> str:
    """The token of the connection's bot. Raises ConnectionInitError."""
    return Connection(connection, "discord").need("BotToken", "token")
