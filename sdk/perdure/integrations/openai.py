"""OpenAI, and services that speak its API."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, given, vendor


@activity
def openai_client(connection: str, **options: Any) -> Any:
    """An `openai.OpenAI`. It reads `api_key` and `base_url`.

    Raises ConnectionInitError where there is no key. `options` go to OpenAI.
    """
    values = Connection(connection, "openai")
    options = given(api_key=values.need("api_key", "apiKey"), base_url=values.get("base_url")) | options
    return vendor("openai", "openai").OpenAI(**options)
