"""Airtable."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["airtable_client"]


@activity
def airtable_client(connection: str) -> Any:
    """A `pyairtable.Api`. It reads `pat`, or the token of OAuth."""
    values = Connection(connection)
    token = values.get("pat", "oauth_access_token") or values.need("pat")
    return vendor("pyairtable", "pyairtable").Api(token)
