"""Asana."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["asana_client"]


@activity
def asana_client(connection: str) -> Any:
    """An `asana.ApiClient`. It reads `pat`."""
    values = Connection(connection)
    asana = vendor("asana", "asana")
    configuration = asana.Configuration()
    configuration.access_token = values.need("pat")
    return asana.ApiClient(configuration)
