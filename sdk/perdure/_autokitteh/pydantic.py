"""Providers of Pydantic AI."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor

__all__ = ["anthropic_pydantic_ai_provider", "openai_pydantic_ai_provider", "pydantic_gateway_provider"]

_PACKAGE = "pydantic-ai"


@activity
def pydantic_gateway_provider(connection: str, *args: Any, **kwargs: Any) -> Any:
    """A provider of Pydantic's gateway, by the connection's `api_key`."""
    api_key = Connection(connection).need("api_key")
    return vendor("pydantic_ai.providers.gateway", _PACKAGE).gateway_provider(*args, api_key=api_key, **kwargs)


@activity
def openai_pydantic_ai_provider(connection: str, **kwargs: Any) -> Any:
    """A provider of OpenAI's models, by the connection's `api_key`."""
    api_key = Connection(connection, "openai").need("api_key")
    return vendor("pydantic_ai.providers.openai", _PACKAGE).OpenAIProvider(api_key=api_key, **kwargs)


@activity
def anthropic_pydantic_ai_provider(connection: str, **kwargs: Any) -> Any:
    """A provider of Anthropic's models, by the connection's `api_key`."""
    api_key = Connection(connection, "anthropic").need("api_key")
    return vendor("pydantic_ai.providers.anthropic", _PACKAGE).AnthropicProvider(api_key=api_key, **kwargs)
