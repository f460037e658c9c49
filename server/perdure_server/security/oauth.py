"""OAuth 2.0 as a client: what is asked for, and the tokens that come back. The messages are oauthlib's.

Answers of a token server are bounded in size and time; redirects are not followed, so that a secret goes only where
it was meant to. A token server that is not on this machine must be asked by HTTPS.
"""

# mypy: disable-error-code="import-untyped, import-not-found, no-any-return"

from __future__ import annotations

import datetime as dt
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from perdure_server.core import integrations
from perdure_server.core.errors import PerdureError
from perdure_server.security.reaching import Reaches, anywhere, opener

TIMEOUT_S: Final = 20.0
_ANSWER_BYTES: Final = 256 * 1024
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_VERIFIER_CHARS: Final = 64  # of 43 to 128 that RFC 7636 allows
_ERROR_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Token:
    """What a token server gave. `refresh` empty: none, or the one before is still good. `expires_s`: from now."""

    access: str
    refresh: str = ""
    expires_s: float | None = None

    def values(self, now: dt.datetime) -> dict[str, str]:
        """As a connection keeps it."""
        kept = {integrations.ACCESS: self.access}
        if self.refresh:
            kept[integrations.REFRESH] = self.refresh
        if self.expires_s is not None:
            at = now + dt.timedelta(seconds=self.expires_s)
            kept[integrations.EXPIRY] = at.replace(microsecond=0).isoformat()
        return kept


class Flow:
    """One sign-in, or the refreshing of what an earlier one gave. Methods raise `PerdureError` P0306.

    `reaches`: which addresses the token server may have.
    """

    def __init__(self, client_id: str, client_secret: str, token_url: str, reaches: Reaches = anywhere) -> None:
        _check(token_url)
        self._client = _client(client_id)
        self._client_id = client_id
        self._client_secret = client_secret
        self._token_url = token_url
        self._reaches = reaches
        self._verifier = self._client.create_code_verifier(_VERIFIER_CHARS)

    def address(
        self, authorize_url: str, redirect_url: str, scopes: Sequence[str], state: str, more: Mapping[str, str]
    ) -> str:
        """Where a person signs in."""
        _check(authorize_url)
        scheme, _, rest = authorize_url.partition("://")
        made: str = self._client.prepare_request_uri(  # oauthlib takes https only, where we take loopback, too
            f"https://{rest}",
            redirect_uri=redirect_url,
            scope=list(scopes) or None,
            state=state,
            code_challenge=self._client.create_code_challenge(self._verifier, "S256"),
            code_challenge_method="S256",
            **more,
        )
        return f"{scheme}://{made.removeprefix('https://')}"

    def redeem(self, query: str, redirect_url: str, state: str) -> Token:
        """The token for the code that the service's redirect carries. It waits for the token server."""
        from oauthlib.oauth2 import OAuth2Error

        try:  # oauthlib wants an https address, which one of this machine is not: only the query counts
            code = self._client.parse_request_uri_response(f"https://localhost/?{query}", state=state)["code"]
        except OAuth2Error as error:
            _refused(error)
        body = self._client.prepare_request_body(
            code=code, redirect_uri=redirect_url, code_verifier=self._verifier, **self._secret()
        )
        return self._ask(body)

    def refresh(self, refresh_token: str) -> Token:
        """A new token for an old one. It waits for the token server."""
        body = self._client.prepare_refresh_body(
            refresh_token=refresh_token, client_id=self._client_id, **self._secret()
        )
        return self._ask(body)

    def _secret(self) -> dict[str, str]:
        return {"client_secret": self._client_secret} if self._client_secret else {}

    def _ask(self, body: str) -> Token:
        from oauthlib.oauth2 import OAuth2Error

        text = _posted(self._token_url, body, self._reaches)
        try:
            answer: Mapping[str, Any] = self._client.parse_request_body_response(_plain(text))
            return Token(answer["access_token"], answer.get("refresh_token") or "", _seconds(answer.get("expires_in")))
        except OAuth2Error as error:
            _refused(error)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise PerdureError("P0306", f"{_host(self._token_url)} answered with something else than a token") from None


def _client(client_id: str) -> Any:
    try:
        from oauthlib.oauth2 import WebApplicationClient
    except ImportError:
        raise PerdureError("P0306", "OAuth needs the package oauthlib", help="pip install 'perdure[oauth]'") from None
    return WebApplicationClient(client_id)


def _plain(text: str) -> str:
    """As RFC 6749 has it: Slack gives a user's token inside of `authed_user`."""
    try:
        answer = json.loads(text)
    except ValueError:
        return text  # a form, as GitHub's
    if isinstance(answer, dict):
        user = answer.get("authed_user")
        if "access_token" not in answer and isinstance(user, dict) and "access_token" in user:
            answer = answer | user
        answer.pop("scope", None)  # others than were asked for are no error
        answer.setdefault("token_type", "Bearer")
    return json.dumps(answer)


def _seconds(value: Any) -> float | None:
    return float(value) if value not in (None, "", 0, "0") else None


def _posted(url: str, body: str, reaches: Reaches) -> str:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    request = urllib.request.Request(url, body.encode(), headers, method="POST")  # noqa: S310 - `_check` saw it
    try:
        with opener(url, reaches, TIMEOUT_S) as way:
            data = _answer(way, request)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        says = str(getattr(error, "reason", error))[:_ERROR_CHARS]
        raise PerdureError("P0306", f"{_host(url)} does not answer: {says}") from None
    if len(data) > _ANSWER_BYTES:
        raise PerdureError("P0306", f"the answer of {_host(url)} is too large")
    return data.decode("utf-8", "replace")


def _answer(way: urllib.request.OpenerDirector, request: urllib.request.Request) -> bytes:
    try:
        with way.open(request, timeout=TIMEOUT_S) as answer:
            return answer.read(_ANSWER_BYTES + 1)
    except urllib.error.HTTPError as error:
        data = error.read(_ANSWER_BYTES)  # RFC 6749: an error is JSON with status 400
        if not data.lstrip().startswith(b"{"):
            raise PerdureError("P0306", f"{_host(request.full_url)} answered with status {error.code}") from None
        return data


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            return
    except ValueError:
        pass
    raise PerdureError("P0306", f"{url[:200]!r} is no address of an OAuth server", help="it begins with https://")


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _refused(error: Any) -> NoReturn:
    says = f"{error.error}: {error.description}" if getattr(error, "description", None) else str(error)
    raise PerdureError("P0306", f"the service refuses: {says[:_ERROR_CHARS]}")
