"""Sessions of `requests` that sign in with the token of a connection."""

from http import HTTPStatus
from typing import Any

from perdure import _runtime
from perdure._errors import Error
from perdure.integrations import _tokens
from perdure.integrations._connection import Connection, vendor

__all__ = ["OAuth2Session"]


class OAuth2Session(vendor("requests_toolbelt.sessions", "requests-toolbelt").BaseUrlSession):  # type: ignore[misc]
    """A session with paths relative to `base_url`. A token that the service takes no more is renewed, once a request.

    Raises ConnectionInitError where the connection has no token.
    """

    def __init__(self, integration: str, connection: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._values = Connection(connection, integration)
        access = _tokens.access(self._values)
        if access is None:
            raise self._values.lacks(_tokens.ACCESS[0])
        self.headers["Authorization"] = f"Bearer {access.token}"

    def send(self, request: Any, **kwargs: Any) -> Any:
        """As of `requests.Session`."""
        answer = super().send(request, **kwargs)
        if answer.status_code != HTTPStatus.UNAUTHORIZED or _runtime.current is None:
            return answer
        try:
            token = _tokens.renewed(self._values).token
        except Error:  # there is no newer one
            return answer
        request.headers["Authorization"] = self.headers["Authorization"] = f"Bearer {token}"
        return super().send(request, **kwargs)
