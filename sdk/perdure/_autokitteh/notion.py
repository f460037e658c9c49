"""Notion."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["notion_client"]


@activity
def notion_client(connection: str) -> Any:
    """A `notion_client.Client`. It reads `api_key`, or the token of OAuth."""
    values = Connection(connection)
    return vendor("notion_client", "notion-client").Client(auth=values.need("api_key", "oauth_access_token"))
