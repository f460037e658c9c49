"""Access tokens of OAuth, which expire. What renews them stays with the coordinator."""

import datetime as dt
from typing import Any, NamedTuple

from perdure import _runtime
from perdure.integrations._connection import Connection

ACCESS = ("oauth_access_token", "oauth_AccessToken")
EXPIRY = ("oauth_expiry", "oauth_Expiry")
_EARLY = dt.timedelta(seconds=60)


class Access(NamedTuple):
    """A token, and when it expires (aware, UTC); None: it does not, or nobody knows."""

    token: str
    expires: dt.datetime | None


def access_token(connection: str) -> str:
    """A token of OAuth that is good now, for services that have no client here; new ones come from the coordinator.

    Call it inside of a function marked @perdure.activity, and do not return it: results are recorded, tokens must not
    be. Raises ConnectionInitError where the connection has none, perdure.Error where it cannot be renewed.
    """
    values = Connection(connection)
    found = access(values)
    if found is None:
        raise values.lacks(ACCESS[0])
    return found.token


def access(connection: Connection) -> Access | None:
    """A token that is good now; None where the connection has none. It asks the coordinator for a new one if need be.

    Call it inside of activities only: a token must not get into the journal.
    """
    token = connection.get(*ACCESS)
    if not token:
        return None
    expires = moment(connection.get(*EXPIRY))
    if expires is None or expires - _EARLY > dt.datetime.now(dt.UTC) or _runtime.current is None:
        return Access(token, expires)
    return renewed(connection)


def renewed(connection: Connection) -> Access:
    """A new token from the coordinator. Raises perdure.Error P0306 where it cannot get one."""
    assert _runtime.current is not None
    answer: dict[str, Any] = _runtime.current.request("connection.token", {"connection": connection.name})
    return Access(answer["token"], moment(answer["expires"]))


def moment(text: str) -> dt.datetime | None:
    """A time as RFC 3339 says it, or as Go prints it ("2026-06-20 19:18:17.1 -0700 PDT"); None: no time."""
    date, _, rest = text.strip().replace("T", " ", 1).partition(" ")
    clock, _, zone = rest.partition(" ")
    try:
        at = dt.datetime.fromisoformat(f"{date}T{clock.partition('.')[0] if zone else clock}{zone.partition(' ')[0]}")
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or dt.UTC).astimezone(dt.UTC)
