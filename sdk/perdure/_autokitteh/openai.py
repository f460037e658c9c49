"""OpenAI."""

from perdure.integrations.openai import openai_client

__all__ = ["openai_client"]
