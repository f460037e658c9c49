"""Zoom."""

from typing import Any

from perdure._activity import activity

__all__ = ["zoom_client"]

_URL = "https://api.zoom.us/v2/"


@activity
def zoom_client(connection: str) -> Any:
    """A `requests.Session` of Zoom's API, signed in with the token of OAuth: `client.get("users/me")`."""
    from .oauth2_session import OAuth2Session

    return OAuth2Session("zoom", connection, base_url=_URL)
