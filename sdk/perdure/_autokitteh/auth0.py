"""Auth0."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["auth0_client"]


@activity
def auth0_client(connection: str, **kwargs: Any) -> Any:
    """An `auth0.management.Auth0`. It reads `auth0_domain` and the token of OAuth."""
    values = Connection(connection)
    domain, token = values.need("auth0_domain"), values.need("oauth_AccessToken", "oauth_access_token")
    return vendor("auth0.management", "auth0-python").Auth0(domain=domain, token=token, **kwargs)
