"""Errors. What the coordinator refuses is an `AutoKittehError`, too."""

from perdure._errors import Error as AutoKittehError
from perdure.integrations._connection import ConnectionInitError

__all__ = [
    "AtlassianOAuthError",
    "AuthenticationError",
    "AutoKittehError",
    "ConnectionInitError",
    "EnvVarError",
    "OAuthRefreshError",
]


class EnvVarError(AutoKittehError):
    """A variable of the environment is missing or wrong."""

    def __init__(self, env_var: str, desc: str) -> None:
        super().__init__(f"the variable {env_var!r} is {desc}")


class OAuthRefreshError(AutoKittehError):
    """No new token of OAuth was to be had."""

    def __init__(self, connection: str, error: object) -> None:
        super().__init__(f"connection {connection!r} got no new token: {error}")


class AtlassianOAuthError(AutoKittehError):
    """What a connection to Atlassian by OAuth cannot do."""

    def __init__(self, connection: str) -> None:
        super().__init__(f"connection {connection!r} cannot do this; use one with a token")


class AuthenticationError(Exception):
    """A service does not let the connection in."""

    def __init__(self, connection: str, reason: str) -> None:
        super().__init__(f"connection {connection!r} was not let in: {reason}")
