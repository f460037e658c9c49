"""Azure Bot."""

from typing import Any

from perdure._activity import activity as _activity
from perdure.integrations._connection import Connection, vendor

from .errors import AuthenticationError

__all__ = ["AzureBotClient", "azurebot_client"]

_SIGN_IN = "https://login.microsoftonline.com/{}/oauth2/v2.0/token"
_SCOPE = "https://api.botframework.com/.default"
_TEAMS = "https://smba.trafficmanager.net/teams/"
_TIMEOUT_S = 30.0


class AzureBotClient:
    """A bot that speaks. It reads `app_id`, `app_password` and `tenant_id`; raises ConnectionInitError."""

    def __init__(self, connection: str) -> None:
        values = Connection(connection, "azurebot")
        for key in ("app_id", "app_password", "tenant_id"):
            values.need(key)
        self._connection = connection  # and no secret: the client is a value that is recorded

    @_activity
    def send_conversation_activity(
        self, activity: dict[str, Any], conversation_id: str | None, service_url: str = _TEAMS
    ) -> Any:
        """Send an activity to a conversation, to a new one where there is no id; gives the service's answer.

        A reply to an event goes to the `service_url` of that event. Raises AuthenticationError where the bot is not
        let in, requests.HTTPError for what else the service refuses.
        """
        requests = vendor("requests", "requests")
        where = f"{service_url}v3/conversations" + (f"/{conversation_id}/activities" if conversation_id else "")
        headers = {"Authorization": f"Bearer {self._token(requests)}"}
        answer = requests.post(where, json=activity, headers=headers, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def _token(self, requests: Any) -> str:
        values = Connection(self._connection, "azurebot")
        asked = {"grant_type": "client_credentials", "scope": _SCOPE}
        asked |= {"client_id": values.need("app_id"), "client_secret": values.need("app_password")}
        answer = requests.post(_SIGN_IN.format(values.need("tenant_id")), data=asked, timeout=_TIMEOUT_S)
        said = answer.json() if answer.ok else {"error": answer.text}
        if said.get("error"):
            raise AuthenticationError(self._connection, f"it got no token: {said['error']}")
        return str(said["access_token"])


def azurebot_client(connection: str) -> AzureBotClient:
    """The client of a connection."""
    return AzureBotClient(connection)
