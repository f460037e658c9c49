"""What sessions ask about connections: a token that is good now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from perdure_server.coordinator.requests.operations import Answer, Asker, Body, Entry, text
from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator
    from perdure_server.store import Transaction

_LONGEST_NAME: Final = 100


async def _prepare(c: Coordinator, asker: Asker, body: Body) -> Body:
    """P0232 in recorded code: the answer would be in the journal. Else as `AccessTokens.token`."""
    name = text(body, "connection", _LONGEST_NAME)
    if asker.place:
        raise PerdureError("P0232", "a token is given to activities only", help="ask for it inside @perdure.activity")
    token = await c.connections.tokens.token(asker.project, name, asker.now_us)
    return {"token": token.access, "expires": token.expires}


def _token(_transaction: Transaction, _asker: Asker, body: Body) -> Answer:
    return Answer(dict(body))


OPERATIONS: Final = {"connection.token": Entry(_token, _prepare)}
