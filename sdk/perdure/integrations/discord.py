"""Discord, by its HTTP API."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

_API = "https://discord.com/api/v10"
_TIMEOUT_S = 30.0


@activity
def discord_client(connection: str, **options: Any) -> Any:
    """An `httpx.Client` of Discord's HTTP API, signed in as the bot: `client.post("/channels/1/messages", json=...)`.

    It reads `token` and `base_url`. Raises ConnectionInitError where there is no token. `options` go to httpx.Client.
    """
    values = Connection(connection, "discord")
    headers = {"Authorization": f"Bot {values.need('token', 'BotToken')}", **(options.pop("headers", None) or {})}
    options.setdefault("timeout", _TIMEOUT_S)
    options.setdefault("base_url", values.get("base_url", default=_API))
    return vendor("httpx", "httpx").Client(headers=headers, **options)
