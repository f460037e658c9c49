"""Access tokens of connections, renewed by OAuth before they expire. What renews them never leaves the coordinator."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from perdure_server.coordinator.turns import Turns
from perdure_server.core import integrations
from perdure_server.core.errors import PerdureError
from perdure_server.security import oauth
from perdure_server.security.reaching import Reaches

if TYPE_CHECKING:
    from perdure_server.coordinator.connections import Connections
    from perdure_server.coordinator.variables import Variables
    from perdure_server.store import ConnectionRow

log: Final = logging.getLogger("perdure.coordinator")

SOON: Final = dt.timedelta(minutes=5)
"""A token that expires sooner is renewed before a runner starts."""
FRESH: Final = dt.timedelta(seconds=60)
"""One that lives longer is good enough for who asks."""
_THREADS: Final = 4  # that ask token servers, which may be slow on purpose
_START_S: Final = 5.0  # that a runner waits for a new token, before it starts with the old one
_RENEWING: Final = integrations.SEPARATOR + integrations.REFRESH


class Token(NamedTuple):
    """`expires` is RFC 3339; empty: nobody knows."""

    access: str
    expires: str


class AccessTokens:
    """One look at a connection's token at a time, which nobody cancels: some services take a refresh token only once,
    and then the answer must not get lost."""

    def __init__(self, connections: Connections, variables: Variables, reaches: Reaches) -> None:
        self._connections = connections
        self._variables = variables
        self._reaches = reaches
        self._turns = Turns(_THREADS, "perdure-oauth")
        self._looking: dict[tuple[str, str], asyncio.Task[Token]] = {}

    async def close(self) -> None:
        """Wait for answers that are under way."""
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    async def before_start(self, project: str, now_us: int) -> None:
        """Renew what expires soon, for a runner that is to start. What fails is left as it is, for the next one."""
        names = await self._variables.set_apart(project)
        due = [name.removesuffix(_RENEWING) for name in names if name.endswith(_RENEWING)]
        if not due:
            return
        try:
            async with asyncio.timeout(_START_S):
                await asyncio.gather(*(self._renew_quietly(project, name, now_us) for name in due))
        except TimeoutError:
            log.warning("access tokens of project %s were not renewed in time", project)

    async def token(self, project: str, name: str, now_us: int, fresh: dt.timedelta = FRESH) -> Token:
        """A connection's token. Renewed, if it lives no longer than `fresh`.

        P0230 where there is no such connection, or it has no token; P0306 where it cannot be renewed.
        """
        looking = self._looking.get((project, name))
        if looking is None:
            looking = asyncio.create_task(self._look(project, name, now_us, fresh))
            self._looking[project, name] = looking
            looking.add_done_callback(lambda _: self._looking.pop((project, name), None))
        return await asyncio.shield(looking)

    async def _look(self, project: str, name: str, now_us: int, fresh: dt.timedelta) -> Token:
        row = next((row for row in await self._connections.rows(project) if row.name == name), None)
        values = await self._connections.values(row) if row else {}
        if row is None or integrations.ACCESS not in values:
            raise PerdureError(
                "P0230",
                f"connection {name[:80]!r} of project {project!r} has no token of OAuth",
                help=f"perdure connections add INTEGRATION {name[:80]} --oauth",
            )
        if _is_fresh(values, now_us, fresh):
            return Token(values[integrations.ACCESS], values.get(integrations.EXPIRY, ""))
        return await self._renewed(row, values, now_us)

    async def _renew_quietly(self, project: str, name: str, now_us: int) -> None:
        try:
            await self.token(project, name, now_us, SOON)
        except PerdureError as error:
            log.warning("the access token of %s in project %s: %s", name, project, error)

    async def _renewed(self, row: ConnectionRow, values: dict[str, str], now_us: int) -> Token:
        known = integrations.of_manifest(row.integration).oauth
        address = values.get(integrations.TOKEN_URL) or (known.token_url if known else "")
        refresh = values.get(integrations.REFRESH)
        if not refresh:
            raise PerdureError(
                "P0306",
                f"the access token of connection {row.name!r} has expired, and nothing renews it",
                help=f"perdure connections add {row.integration} {row.name} --oauth",
            )
        client, secret = values.get(integrations.CLIENT_ID, ""), values.get(integrations.CLIENT_SECRET, "")
        flow = oauth.Flow(client, secret, address, self._reaches)
        made = await self._turns.run(row.project, flow.refresh, refresh)
        kept = made.values(_moment(now_us))
        await self._variables.set_all(
            row.project,
            {
                integrations.variable(row.name, key): (value.encode(), key != integrations.EXPIRY)
                for key, value in kept.items()
            },
        )
        return Token(made.access, kept.get(integrations.EXPIRY, ""))


def _is_fresh(values: dict[str, str], now_us: int, fresh: dt.timedelta) -> bool:
    try:
        expires = dt.datetime.fromisoformat(values[integrations.EXPIRY])
    except (KeyError, ValueError):
        return True  # nobody said that it expires
    return expires.replace(tzinfo=expires.tzinfo or dt.UTC) - fresh > _moment(now_us)


def _moment(at_us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC)
