"""Linear."""

from typing import Any

from perdure._activity import activity
from perdure.integrations import _tokens
from perdure.integrations._connection import Connection, vendor

__all__ = ["linear_client"]

_URL = "https://api.linear.app/graphql/"


@activity
def linear_client(connection: str) -> Any:
    """A `requests.Session` that signs in to Linear, whose address is its `base_url`.

    It reads `api_key`, or the token of OAuth.
    """
    values = Connection(connection)
    token = values.get("api_key")
    if not token:
        access = _tokens.access(values)
        if access is None:
            raise values.lacks("api_key", *_tokens.ACCESS[:1])
        token = f"Bearer {access.token}"
    session = vendor("requests", "requests").Session()
    session.headers.update({"Authorization": token, "Content-Type": "application/json"})
    session.base_url = _URL
    return session
