"""Salesforce."""

from typing import Any

from perdure._activity import activity
from perdure.integrations import _tokens
from perdure.integrations._connection import Connection, vendor

__all__ = ["salesforce_client"]


@activity
def salesforce_client(connection: str, **kwargs: Any) -> Any:
    """A `simple_salesforce.Salesforce`. It reads `instance_url` and the token of OAuth. `kwargs` go to Salesforce."""
    values = Connection(connection, "salesforce")
    url, access = values.need("instance_url"), _tokens.access(values)
    if access is None:
        raise values.lacks(_tokens.ACCESS[0])
    make = vendor("simple_salesforce", "simple-salesforce").Salesforce
    return make(instance_url=url, session_id=access.token, **kwargs)
