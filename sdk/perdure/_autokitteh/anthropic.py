"""Anthropic."""

from perdure.integrations.anthropic import anthropic_client

from .pydantic import anthropic_pydantic_ai_provider

__all__ = ["anthropic_client", "anthropic_pydantic_ai_provider"]
