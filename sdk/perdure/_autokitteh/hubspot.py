"""HubSpot."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["hubspot_client"]


@activity
def hubspot_client(connection: str, **kwargs: Any) -> Any:
    """A `hubspot.HubSpot`. It reads the token of OAuth."""
    values = Connection(connection)
    token = values.need("oauth_access_token", "oauth_AccessToken")
    return vendor("hubspot", "hubspot-api-client").HubSpot(access_token=token, **kwargs)
