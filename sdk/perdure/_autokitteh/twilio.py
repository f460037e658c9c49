"""Twilio."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["twilio_client"]


@activity
def twilio_client(connection: str) -> Any:
    """A `twilio.rest.Client`. It reads `Username`, `Password` and `AccountSID`."""
    values = Connection(connection)
    username, password = values.need("Username"), values.need("Password")
    return vendor("twilio.rest", "twilio").Client(username, password, account_sid=values.get("AccountSID") or None)
