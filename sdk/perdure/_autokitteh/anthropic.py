"""Anthropic."""

from perdure.integrations.anthropic import anthropic_client

__all__ = ["anthropic_client"]
