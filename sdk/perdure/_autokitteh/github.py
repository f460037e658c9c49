"""GitHub."""

from perdure.integrations.github import github_client

__all__ = ["github_client"]
