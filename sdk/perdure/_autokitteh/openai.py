"""OpenAI."""

from perdure.integrations.openai import openai_client

from .pydantic import openai_pydantic_ai_provider

__all__ = ["openai_client", "openai_pydantic_ai_provider"]
