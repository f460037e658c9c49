"""Jira and Confluence."""

import os

from perdure.integrations.atlassian import confluence_client, jira_client

from .connections import check_connection_name

__all__ = ["confluence_client", "get_base_url", "jira_client"]


def get_base_url(connection: str) -> str | None:
    """Where the connection's site is; None where that is not known."""
    check_connection_name(connection)
    names = (f"{connection}__{key}" for key in ("base_url", "BaseURL", "AccessURL"))
    return next((url for name in names if (url := os.environ.get(name))), None)
