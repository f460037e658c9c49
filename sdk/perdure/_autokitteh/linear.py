"""Linear."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["linear_client"]

_URL = "https://api.linear.app/graphql/"


@activity
def linear_client(connection: str) -> Any:
    """A `requests.Session` that signs in to Linear, whose address is its `base_url`.

    It reads `api_key`, or the token of OAuth; with that, paths are relative to the address.
    """
    api_key = Connection(connection, "linear").get("api_key")
    if not api_key:
        from .oauth2_session import OAuth2Session

        return OAuth2Session("linear", connection, base_url=_URL)
    requests = vendor("requests", "requests")
    session = type("LinearSession", (requests.Session,), {"__module__": __name__, "base_url": _URL})()
    session.headers.update({"Authorization": api_key, "Content-Type": "application/json"})
    return session
