"""Reddit."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["reddit_client"]


@activity
def reddit_client(connection: str) -> Any:
    """A `praw.Reddit`, read-only where there is no `username`. It reads `client_id`, `client_secret`, `user_agent`."""
    values = Connection(connection)
    options = {key: values.need(key) for key in ("client_id", "client_secret", "user_agent")}
    if values.get("username") and values.get("password"):
        options |= {"username": values.get("username"), "password": values.get("password")}
    return vendor("praw", "praw").Reddit(**options)
