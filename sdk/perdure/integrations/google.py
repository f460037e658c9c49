"""Google's services, for a service account or for a person who has signed in with `--oauth`."""

import datetime as dt
import json
from typing import Any
from urllib.parse import urlsplit

from perdure._activity import activity
from perdure.integrations import _tokens
from perdure.integrations._connection import Connection, vendor

_AUTH = "https://www.googleapis.com/auth/"
_SHEETS = ("spreadsheets",)
_GMAIL = ("gmail.modify", "gmail.settings.basic")
_CALENDAR = ("calendar", "calendar.events")
_PACKAGE = "google-api-python-client"


@activity
def google_sheets_client(connection: str, **options: Any) -> Any:
    """The Sheets API, v4, as `googleapiclient.discovery.build` makes it. See `google_client`."""
    return _client(Connection(connection, "googlesheets"), "sheets", "v4", _SHEETS, options)


@activity
def gmail_client(connection: str, **options: Any) -> Any:
    """The Gmail API, v1, as `googleapiclient.discovery.build` makes it. See `google_client`."""
    return _client(Connection(connection, "gmail"), "gmail", "v1", _GMAIL, options)


@activity
def google_calendar_client(connection: str, **options: Any) -> Any:
    """The Calendar API, v3, as `googleapiclient.discovery.build` makes it. See `google_client`."""
    return _client(Connection(connection, "googlecalendar"), "calendar", "v3", _CALENDAR, options)


@activity
def google_client(connection: str, service: str, version: str, scopes: tuple[str, ...] = (), **options: Any) -> Any:
    """Any API of Google's, such as `google_client("docs", "drive", "v3", ("drive.file",))`.

    It reads `service_account` (the JSON of its key), or the token that `--oauth` has stored; `base_url`. Raises
    ConnectionInitError where it cannot sign in. `options` go to `googleapiclient.discovery.build`.
    """
    return _client(Connection(connection, "google"), service, version, scopes, options)


@activity
def google_credentials(connection: str, scopes: tuple[str, ...] = (), **options: Any) -> Any:
    """Credentials of the library google-auth, by what `google_client` reads, for clients that are not made here.

    `options` are for those of a service account.
    """
    return _credentials(Connection(connection, "google"), scopes, **options)


@activity
def gspread_client(connection: str, **options: Any) -> Any:
    """A `gspread.Client`, which reads what `google_sheets_client` does. `options` go to `gspread.authorize`."""
    credentials = _credentials(Connection(connection, "googlesheets"), _SHEETS)
    options.setdefault("http_client", _gspread_http(connection))
    return vendor("gspread", "gspread").authorize(credentials, **options)


def _client(values: Connection, service: str, version: str, scopes: tuple[str, ...], options: dict[str, Any]) -> Any:
    discovery = vendor("googleapiclient.discovery", _PACKAGE)
    credentials = _credentials(values, scopes)
    if base_url := values.get("base_url"):
        options.setdefault("client_options", {"api_endpoint": _endpoint(base_url, service, version)})
    return discovery.build(service, version, credentials=credentials, cache_discovery=False, **options)


def _endpoint(base_url: str, service: str, version: str) -> str:
    """Where a service's own path begins, which googleapiclient wants to be told with the rest."""
    described = vendor("googleapiclient.discovery_cache", _PACKAGE).get_static_doc(service, version)
    return f"{base_url.rstrip('/')}/{json.loads(described)['servicePath'] if described else ''}"


def _credentials(values: Connection, scopes: tuple[str, ...], **options: Any) -> Any:
    full = [scope if scope.startswith("https:") else _AUTH + scope for scope in scopes]
    if account := values.get("service_account", "JSON"):
        module = vendor("google.oauth2.service_account", "google-auth")
        return module.Credentials.from_service_account_info(json.loads(account), scopes=full, **options)
    access = _tokens.access(values)
    if access is None:
        raise values.lacks("service_account", _tokens.ACCESS[0])

    def renew(_request: Any, scopes: Any) -> tuple[str, dt.datetime | None]:  # noqa: ARG001 - called by keyword
        fresh = _tokens.renewed(values)
        return fresh.token, _naive(fresh.expires)

    module = vendor("google.oauth2.credentials", "google-auth")
    return module.Credentials(token=access.token, expiry=_naive(access.expires), scopes=full, refresh_handler=renew)


def _naive(at: dt.datetime | None) -> dt.datetime | None:
    """Google's library takes times of UTC without a zone."""
    return at and at.replace(tzinfo=None)


def _gspread_http(connection: str) -> Any:
    """gspread's HTTP for one connection. All its objects hold it: in their recorded state it is only named."""
    base = vendor("gspread", "gspread").HTTPClient
    base_url = Connection(connection, "googlesheets").get("base_url").rstrip("/")

    def request(self: Any, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Any:
        there = f"{base_url}{urlsplit(endpoint).path}" if base_url else endpoint
        return base.request(self, method, there, *args, **kwargs)

    def reduce(_self: Any) -> tuple[Any, ...]:
        return _gspread_http_again, (connection,)

    return type("HTTPClient", (base,), {"request": request, "__reduce__": reduce})


def _gspread_http_again(connection: str) -> Any:
    """Recorded states name this function: never rename it."""
    return _gspread_http(connection)(_credentials(Connection(connection, "googlesheets"), _SHEETS))
