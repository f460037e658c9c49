"""Google's services."""

import re
from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor
from perdure.integrations.google import (
    gmail_client,
    google_calendar_client,
    google_client,
    google_credentials,
    google_sheets_client,
    gspread_client,
)

__all__ = [
    "gemini_client",
    "gmail_client",
    "google_calendar_client",
    "google_creds",
    "google_drive_client",
    "google_forms_client",
    "google_id",
    "google_pydantic_ai_provider",
    "google_sheets_client",
    "gspread_client",
    "youtube_client",
]

_ID = re.compile(r"(?:.*/d/(?:e/)?)?([\w-]{20,})")


def google_creds(integration: str, connection: str, scopes: list[str], **kwargs: Any) -> Any:  # noqa: ARG001 - theirs
    """Credentials of Google's library, for `googleapiclient.discovery.build`."""
    return google_credentials(connection, tuple(scopes), **kwargs)


def google_drive_client(connection: str, **kwargs: Any) -> Any:
    """The Drive API, v3."""
    return google_client(connection, "drive", "v3", ("drive.file",), **kwargs)


def google_forms_client(connection: str, **kwargs: Any) -> Any:
    """The Forms API, v1."""
    return google_client(connection, "forms", "v1", ("forms.body", "forms.responses.readonly"), **kwargs)


def youtube_client(connection: str, **kwargs: Any) -> Any:
    """The YouTube Data API, v3."""
    return google_client(connection, "youtube", "v3", ("youtube",), **kwargs)


@activity
def gemini_client(connection: str, **kwargs: Any) -> Any:
    """A `google.generativeai.GenerativeModel`, by the connection's `api_key`."""
    api_key = Connection(connection).need("api_key")
    module = vendor("google.generativeai", "google-generativeai")
    module.configure(api_key=api_key)
    return module.GenerativeModel(**kwargs)


@activity
def google_pydantic_ai_provider(connection: str, **kwargs: Any) -> Any:
    """A provider of Gemini's models for Pydantic AI, by the connection's `api_key`."""
    api_key = Connection(connection).need("api_key")
    return vendor("pydantic_ai.providers.google", "pydantic-ai").GoogleProvider(api_key=api_key, **kwargs)


def google_id(url: str) -> str:
    """The id of a document in its address, or the id itself. Raises ValueError where there is none."""
    found = _ID.match(url)
    if found is None:
        raise ValueError(f"there is no id of Google's in {url!r}")
    return found[1]
