"""Microsoft Graph."""

from typing import Any

from perdure._activity import activity
from perdure.integrations import _tokens
from perdure.integrations._connection import Connection, vendor

__all__ = ["teams_client"]

_NEVER = 2**31 - 1  # seconds since 1970: when tokens expire of which nobody has said when


@activity
def teams_client(connection: str, **kwargs: Any) -> Any:
    """A `msgraph.GraphServiceClient`. It reads `auth_type`, and what that needs.

    "oauthDefault", "oauthPrivate": the token of OAuth. "daemonApp": `private_client_id`, and `private_certificate` or
    `private_client_secret`; `private_tenant_id`. Raises ConnectionInitError, ValueError for another `auth_type`.
    """
    values = Connection(connection, "microsoft")
    kind = values.need("auth_type")
    if kind in {"oauthDefault", "oauthPrivate"}:
        credentials = _signed_in(values)
    elif kind == "daemonApp":
        credentials = _daemon(values)
    else:
        raise ValueError(f"connection {connection!r} has auth_type {kind!r}, which is none that Microsoft has")
    return vendor("msgraph", "msgraph-sdk").GraphServiceClient(credentials=credentials, **kwargs)


def _signed_in(values: Connection) -> Any:
    """A `TokenCredential` that asks for a new token whenever the old one ends."""
    if not values.get(*_tokens.ACCESS):
        raise values.lacks(_tokens.ACCESS[0])
    token = vendor("azure.core.credentials", "azure-core").AccessToken

    class Signed:
        def get_token(self, *_scopes: str, **_options: Any) -> Any:
            access = _tokens.access(values)
            if access is None:
                raise values.lacks(_tokens.ACCESS[0])
            return token(access.token, int(access.expires.timestamp()) if access.expires else _NEVER)

    return Signed()


def _daemon(values: Connection) -> Any:
    identity = vendor("azure.identity", "azure-identity")
    who = {"client_id": values.need("private_client_id"), "tenant_id": values.get("private_tenant_id") or "common"}
    if certificate := values.get("private_certificate"):
        return identity.CertificateCredential(certificate_data=certificate.encode(), **who)
    return identity.ClientSecretCredential(client_secret=values.need("private_client_secret"), **who)
