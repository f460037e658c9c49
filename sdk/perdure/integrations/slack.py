"""Slack."""

from typing import Any

from perdure._activity import activity
from perdure.integrations import _tokens
from perdure.integrations._connection import Connection, given, vendor


@activity
def slack_client(connection: str, **options: Any) -> Any:
    """A `slack_sdk.WebClient`. It reads `token`, or the token that `--oauth` has stored; `base_url`.

    Raises ConnectionInitError where there is no token. `options` go to WebClient. It does not call Slack yet.
    """
    values = Connection(connection, "slack")
    token = values.get("token", "private_bot_token", "BotToken")
    if not token:
        access = _tokens.access(values)
        if access is None:
            raise values.lacks("token", *_tokens.ACCESS[:1])
        token = access.token
    base_url = values.get("base_url")
    options = given(base_url=base_url and base_url.rstrip("/") + "/") | options
    return vendor("slack_sdk", "slack-sdk").WebClient(token=token, **options)
