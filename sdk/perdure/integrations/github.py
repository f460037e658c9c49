"""GitHub."""

from typing import Any

from perdure._activity import activity
from perdure.integrations import _tokens
from perdure.integrations._connection import Connection, given, vendor


@activity
def github_client(connection: str, **options: Any) -> Any:
    """A `github.Github` of PyGithub. It reads `token`; or `app_id`, `install_id` and `private_key` of a GitHub app.

    `base_url` is the address of the API; `enterprise_url` that of a GitHub Enterprise server, without `/api/v3`.
    Raises ConnectionInitError where it cannot sign in. `options` go to Github.
    """
    values = Connection(connection, "github")
    base_url = values.get("base_url")
    if not base_url and (server := values.get("enterprise_url")):
        base_url = server.rstrip("/") + "/api/v3"
    github = vendor("github", "PyGithub")
    return github.Github(auth=_auth(values, github.Auth), **given(base_url=base_url) | options)


def _auth(values: Connection, auth: Any) -> Any:
    if token := values.get("token", "pat"):
        return auth.Token(token)
    if values.get("app_id"):
        app = auth.AppAuth(int(values.need("app_id")), values.need("private_key"))
        return app.get_installation_auth(int(values.need("install_id")))
    if (access := _tokens.access(values)) is not None:
        return auth.Token(access.token)
    raise values.lacks("token", "app_id")
