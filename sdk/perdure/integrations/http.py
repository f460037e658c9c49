"""Any HTTP API."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

_TIMEOUT_S = 30.0


@activity
def http_client(connection: str, **options: Any) -> Any:
    """An `httpx.Client` whose addresses are relative to the connection's `base_url`, and which signs in.

    It reads `base_url`; `token` (sent as `Authorization: Bearer`, or in the header that `header` names); `username`
    and `password` (basic authentication). `options` go to httpx.Client.
    """
    values = Connection(connection, "http")
    httpx = vendor("httpx", "httpx")
    headers = dict(options.pop("headers", None) or {})
    if token := values.get("token", "api_key"):
        name = values.get("header")
        headers[name or "Authorization"] = token if name else f"Bearer {token}"
    if username := values.get("username"):
        options.setdefault("auth", httpx.BasicAuth(username, values.get("password")))
    options.setdefault("timeout", _TIMEOUT_S)
    options.setdefault("base_url", values.get("base_url"))
    return httpx.Client(headers=headers, **options)
