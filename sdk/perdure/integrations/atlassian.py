"""Jira and Confluence."""

from typing import Any

from perdure._activity import activity
from perdure.integrations._connection import Connection, vendor


@activity
def jira_client(connection: str, **options: Any) -> Any:
    """An `atlassian.Jira`. It reads `base_url`, `token`, and `email` where that is an API token of Atlassian's cloud.

    Raises ConnectionInitError where one is missing. `options` go to Jira.
    """
    return _client(Connection(connection, "jira"), "Jira", options)


@activity
def confluence_client(connection: str, **options: Any) -> Any:
    """An `atlassian.Confluence`, which reads what `jira_client` does. `options` go to Confluence."""
    return _client(Connection(connection, "confluence"), "Confluence", options)


def _client(values: Connection, cls: str, options: dict[str, Any]) -> Any:
    make = getattr(vendor("atlassian", "atlassian-python-api"), cls)
    url, token = values.need("base_url", "BaseURL"), values.need("token", "Token")
    if email := values.get("email", "Email"):
        return make(**{"url": url, "username": email, "password": token, "cloud": True} | options)
    return make(**{"url": url, "token": token} | options)
