"""Connections of the project."""

import re
from datetime import datetime
from typing import Any

from perdure import _runtime
from perdure._errors import Error
from perdure.integrations import _tokens
from perdure.integrations._connection import Connection, vendor

from .errors import ConnectionInitError, OAuthRefreshError

__all__ = ["check_connection_name", "encode_jwt", "refresh_oauth"]


def check_connection_name(connection: str) -> None:
    """Raises ValueError for what cannot be the name of a connection."""
    if not re.fullmatch(r"[A-Za-z_]\w*", connection):
        raise ValueError(f"{connection!r} cannot be the name of a connection")


def refresh_oauth(integration: str, connection: str) -> tuple[str, datetime | None]:
    """A new token of OAuth, and when it expires (UTC, without a zone). Raises OAuthRefreshError."""
    values = Connection(connection, integration)
    if _runtime.current is None:
        raise ConnectionInitError(f"connection {connection!r} gets new tokens in sessions only")
    try:
        token, expires = _tokens.renewed(values)
    except Error as error:
        raise OAuthRefreshError(connection, error) from error
    return token, expires and expires.replace(tzinfo=None)


def encode_jwt(payload: dict[str, int], connection: str, algorithm: str) -> str:
    """A JSON Web Token with this payload, signed with the connection's own `private_key` (PEM).

    There, the platform's key signs. Replay makes it again, so that it is in no journal. Raises ConnectionInitError
    where the connection has no key, and what PyJWT raises.
    """
    key = Connection(connection, "github").need("private_key")
    made: Any = vendor("jwt", "PyJWT[crypto]").encode(payload, key, algorithm=algorithm)
    return str(made)
