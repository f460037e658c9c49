"""Anthropic."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, given, vendor


@activity
def anthropic_client(connection: str, **options: Any) -> Any:
    """An `anthropic.Anthropic`. It reads `api_key` and `base_url`.

    Raises ConnectionInitError where there is no key. `options` go to Anthropic.
    """
    values = Connection(connection, "anthropic")
    options = given(api_key=values.need("api_key"), base_url=values.get("base_url")) | options
    return vendor("anthropic", "anthropic").Anthropic(**options)
