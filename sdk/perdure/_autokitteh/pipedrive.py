"""Pipedrive."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["pipedrive_client"]


@activity
def pipedrive_client(connection: str) -> Any:
    """A `pipedrive.client.Client`. It reads `company_domain` and `api_key`."""
    values = Connection(connection)
    domain, api_key = values.need("company_domain"), values.need("api_key")
    client = vendor("pipedrive.client", "pipedrive-python-lib").Client(domain=domain)
    client.set_api_token(api_key)
    return client
