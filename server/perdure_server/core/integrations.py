"""The services that connections lead to: which values each needs, and how it signs in and sends events. Plain data.

A connection NAME keeps the value of a key KEY as the variable NAME__KEY, where the client factories of
`perdure.integrations` read it. `also` are names by which other platforms know a key; factories read them, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from perdure_server.core.errors import PerdureError, did_you_mean

SEPARATOR: Final = "__"
ACCESS: Final = "oauth_access_token"
REFRESH: Final = "oauth_refresh_token"
EXPIRY: Final = "oauth_expiry"  # RFC 3339
CLIENT_ID: Final = "oauth_client_id"
CLIENT_SECRET: Final = "oauth_client_secret"  # noqa: S105 - the name of a key
AUTHORIZE_URL: Final = "oauth_authorize_url"
TOKEN_URL: Final = "oauth_token_url"  # noqa: S105 - the name of a key

WITHHELD: Final = frozenset({REFRESH, CLIENT_SECRET})
"""Keys that no runner gets: with them the coordinator makes new access tokens."""


@dataclass(frozen=True, slots=True)
class Key:
    """A value of a connection; `secret` ones are sealed, and hidden in all output."""

    name: str
    about: str
    secret: bool = False
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OAuth:
    """OAuth 2.0 by an authorization code with PKCE. `more`: parameters of the address that people go to."""

    authorize_url: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Integration:
    """ways: sets of keys of which one must be whole. token: the key that `--token` gives.

    signing: how its webhooks are signed, and by which key (`core.receiving`); empty: it sends none.
    events: event types, for people; a service may send others.
    """

    name: str
    title: str
    keys: tuple[Key, ...]
    ways: tuple[tuple[str, ...], ...] = ((),)
    token: str = ""
    oauth: OAuth | None = None
    signing: str = ""
    signing_key: str = ""
    events: tuple[str, ...] = ()
    factories: tuple[str, ...] = ()
    package: str = ""

    def key(self, name: str) -> Key | None:
        """The key of this name, or that other platforms call so."""
        return next((key for key in self.keys if name == key.name or name in key.also), None)

    def is_secret(self, name: str) -> bool:
        """What is not known of a key may be anything: it is kept like a secret."""
        return (key := self.key(name)) is None or key.secret

    def missing(self, known: Collection[str]) -> tuple[str, ...]:
        """Keys that the nearest way to sign in still lacks; empty: it can be used."""
        have = {key.name for name in known if (key := self.key(name)) is not None}
        lacks = [tuple(name for name in way if name not in have) for way in self.ways]
        return min(lacks, key=len, default=())


_BASE: Final = Key("base_url", "address of the service, where it is not the public one")
_WEBHOOK_SECRET: Final = Key("webhook_secret", "secret that its webhooks are signed with", True, ("pat_secret",))


def _oauth_keys(*more_access: str) -> tuple[Key, ...]:
    return (
        Key(ACCESS, "access token of OAuth", True, ("oauth_AccessToken", *more_access)),
        Key(REFRESH, "refresh token of OAuth; stays with the coordinator", True, ("oauth_RefreshToken",)),
        Key(EXPIRY, "when the access token expires (RFC 3339)", also=("oauth_Expiry",)),
        Key(CLIENT_ID, "id of the OAuth application"),
        Key(CLIENT_SECRET, "secret of the OAuth application; stays with the coordinator", True),
        Key(AUTHORIZE_URL, "where people sign in, where that is not the public address"),
        Key(TOKEN_URL, "where tokens are made, where that is not the public address"),
    )


def _api_key(name: str, title: str, package: str, also: tuple[str, ...] = ()) -> Integration:
    key = Key("api_key", "API key", True, also)
    return Integration(
        name, title, (key, _BASE), (("api_key",),), "api_key", factories=(f"{name}_client",), package=package
    )


def _google(name: str, title: str, scopes: tuple[str, ...], factories: tuple[str, ...]) -> Integration:
    oauth = OAuth(
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        tuple(f"https://www.googleapis.com/auth/{scope}" for scope in scopes),
        (("access_type", "offline"), ("prompt", "consent")),
    )
    account = Key("service_account", "JSON key of a service account", True, ("JSON",))
    return Integration(
        name,
        title,
        (account, *_oauth_keys(), _BASE),
        (("service_account",), (ACCESS,)),
        "service_account",
        oauth,
        factories=factories,
        package="google-api-python-client",
    )


def _atlassian(name: str, title: str) -> Integration:
    keys = (
        Key("base_url", "address of the site, https://NAME.atlassian.net", also=("BaseURL",)),
        Key("email", "of the account that the token belongs to; none: a personal access token", also=("Email",)),
        Key("token", "API token", True, ("Token",)),
    )
    way = ("base_url", "token")
    return Integration(
        name, title, keys, (way,), "token", factories=(f"{name}_client",), package="atlassian-python-api"
    )


_SHEETS, _MAIL = ("spreadsheets",), ("gmail.modify", "gmail.settings.basic")
_CALENDAR: Final = ("calendar", "calendar.events")
_SHEETS_FACTORIES: Final = ("google_sheets_client", "gspread_client")
_GOOGLE_FACTORIES: Final = (*_SHEETS_FACTORIES, "gmail_client", "google_calendar_client", "google_client")

_TABLE: Final = (
    Integration(
        "http",
        "any HTTP API",
        (
            Key("base_url", "what addresses are relative to"),
            Key("token", "sent as `Authorization: Bearer TOKEN`", True),
            Key("username", "of basic authentication"),
            Key("password", "of basic authentication", True),
            Key("header", "name of a header that carries the token instead"),
        ),
        token="token",  # noqa: S106 - the name of a key
        factories=("http_client",),
        package="httpx",
    ),
    Integration(
        "slack",
        "Slack",
        (
            Key("token", "token of the bot (xoxb-...)", True, ("private_bot_token", "BotToken")),
            *_oauth_keys(),
            Key("signing_secret", "secret that its requests are signed with", True, ("private_signing_secret",)),
            _BASE,
        ),
        (("token",), (ACCESS,)),
        "token",
        OAuth(
            "https://slack.com/oauth/v2/authorize",
            "https://slack.com/api/oauth.v2.access",
            ("chat:write", "channels:read", "channels:history", "users:read", "commands", "app_mentions:read"),
        ),
        "slack",
        "signing_secret",
        ("message", "app_mention", "reaction_added", "slash_command", "block_actions", "view_submission"),
        ("slack_client",),
        "slack-sdk",
    ),
    Integration(
        "github",
        "GitHub",
        (
            Key("token", "personal access token", True, ("pat",)),
            Key("app_id", "id of a GitHub app"),
            Key("install_id", "id of the app's installation"),
            Key("private_key", "private key of the app (PEM)", True),
            *_oauth_keys(),
            _WEBHOOK_SECRET,
            Key("base_url", "address of the API, for GitHub Enterprise: https://HOST/api/v3"),
            Key("enterprise_url", "address of a GitHub Enterprise server, without /api/v3"),
        ),
        (("token",), ("app_id", "install_id", "private_key"), (ACCESS,)),
        "token",
        OAuth(
            "https://github.com/login/oauth/authorize", "https://github.com/login/oauth/access_token", ("repo", "user")
        ),
        "github",
        "webhook_secret",
        ("push", "pull_request", "issues", "issue_comment", "release", "workflow_run"),
        ("github_client",),
        "PyGithub",
    ),
    _google("google", "Google Workspace", (*_SHEETS, *_MAIL, *_CALENDAR), _GOOGLE_FACTORIES),
    _google("googlesheets", "Google Sheets", _SHEETS, _SHEETS_FACTORIES),
    _google("gmail", "Gmail", _MAIL, ("gmail_client",)),
    _google("googlecalendar", "Google Calendar", _CALENDAR, ("google_calendar_client",)),
    _atlassian("jira", "Jira"),
    _atlassian("confluence", "Confluence"),
    Integration(
        "discord",
        "Discord",
        (
            Key("token", "token of the bot", True, ("BotToken",)),
            Key("public_key", "of the application (hex): its interactions are signed with the other half"),
            _BASE,
        ),
        (("token",),),
        "token",
        None,
        "discord",
        "public_key",
        ("application_command", "message_component", "modal_submit"),
        ("discord_client",),
        "httpx",
    ),
    _api_key("openai", "OpenAI", "openai", ("apiKey",)),
    _api_key("anthropic", "Anthropic", "anthropic"),
    Integration(
        "aws",
        "Amazon Web Services",
        (
            Key("access_key_id", "access key id", also=("AccessKeyID",)),
            Key("secret_key", "secret access key", True, ("SecretKey",)),
            Key("session_token", "token of a temporary key", True, ("Token",)),
            Key("region", "region, such as eu-central-1", also=("Region",)),
            _BASE,
        ),
        (("access_key_id", "secret_key"),),
        "session_token",
        factories=("boto3_client",),
        package="boto3",
    ),
    Integration(
        "postgres",
        "PostgreSQL",
        (
            Key("url", "postgresql://USER:PASSWORD@HOST/DATABASE", True),
            Key("password", "where the address has none", True),
        ),
        (("url",),),
        "url",
        factories=("postgres_client",),
        package="psycopg[binary]",
    ),
    Integration(
        "redis",
        "Redis",
        (Key("url", "redis://HOST:PORT/NUMBER", True), Key("password", "where the address has none", True)),
        (("url",),),
        "url",
        factories=("redis_client",),
        package="redis",
    ),
    Integration(
        "smtp",
        "mail by SMTP",
        (
            Key("host", "host of the server"),
            Key("port", "its port [default: 587, 465 with security tls]"),
            Key("security", "starttls, tls or none [default: starttls]"),
            Key("username", "who signs in; none: nobody does"),
            Key("password", "of that user", True),
        ),
        (("host",),),
        "password",
        factories=("smtp_client",),
    ),
    Integration(
        "stripe",
        "Stripe",
        (
            Key("api_key", "secret key (sk_...)", True),
            Key("webhook_secret", "secret that its webhooks are signed with (whsec_...)", True),
            _BASE,
        ),
        (("api_key",), ("webhook_secret",)),
        "api_key",
        None,
        "stripe",
        "webhook_secret",
        ("checkout.session.completed", "invoice.paid", "payment_intent.succeeded"),
        ("http_client",),
        "httpx",
    ),
    Integration(
        "generic",
        "anything else, whose values `connection` reads",
        (Key("token", "a token", True), _WEBHOOK_SECRET, _BASE),
        token="token",  # noqa: S106 - the name of a key
        signing="generic",
        signing_key="webhook_secret",
    ),
)

INTEGRATIONS: Final[Mapping[str, Integration]] = MappingProxyType({entry.name: entry for entry in _TABLE})
_OTHER_NAMES: Final = MappingProxyType({"chatgpt": "openai", "googlemail": "gmail", "gcal": "googlecalendar"})


def integration(name: str) -> Integration:
    """The integration of this name. Raises P0230 for one that there is not."""
    if (found := known(name)) is None:
        hint = did_you_mean(name, INTEGRATIONS)
        raise PerdureError(
            "P0230", f"there is no integration {name[:80]!r}", help=hint or f"there are: {', '.join(INTEGRATIONS)}"
        )
    return found


def known(name: str) -> Integration | None:
    """As `integration`, or None."""
    return INTEGRATIONS.get(_OTHER_NAMES.get(name, name))


def of_manifest(name: str) -> Integration:
    """A manifest may name services that nothing is known of: their connections are plain sets of values."""
    return known(name) or INTEGRATIONS["generic"]


def variable(connection: str, key: str) -> str:
    """The name of the variable that holds a connection's value."""
    return f"{connection}{SEPARATOR}{key}"
