"""Connections of projects: named credentials for a service, whose values are variables NAME__KEY of the project."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator.access_tokens import AccessTokens
from perdure_server.coordinator.clock import Clock
from perdure_server.coordinator.starting import project_of
from perdure_server.coordinator.variables import Variables
from perdure_server.core import integrations
from perdure_server.core.errors import PerdureError
from perdure_server.core.integrations import SEPARATOR, Integration
from perdure_server.security.reaching import Reaches, anywhere
from perdure_server.store import ConnectionRow, Store, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator
    from perdure_server.manifest.connections import Connection

MAX_CONNECTIONS: Final = 100  # of one project
MAX_KEYS: Final = 50  # of one request
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_SLUG_BYTES: Final = 24
_PATH: Final = "/connections/"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service's webhooks arrive, and how they prove that they come from it.

    `signing` is a kind of `manifest.triggers.Signature`; `secret` is empty where none was set. `header`: which one
    carries the signature, where the kind leaves that open.
    """

    row: ConnectionRow
    signing: str
    secret: str
    header: str


class Connections:
    """Reads and writes connections. Methods raise `PerdureError`."""

    def __init__(self, store: Store, variables: Variables, clock: Clock, reaches: Reaches = anywhere) -> None:
        self._store = store
        self._variables = variables
        self._clock = clock
        self.tokens = AccessTokens(self, variables, reaches)

    async def put(
        self, project: str, name: str, integration: Integration, values: Mapping[str, bytes], plain: Iterable[str]
    ) -> ConnectionRow:
        """A new connection, or new values of one: values that are not named stay.

        P0103 for a bad name or too many, P0402 for a value that is too large, P0230 where the name is taken by a
        connection of another integration.
        """
        _check(name, values)
        public = set(plain)
        known = await self.rows(project)
        before = next((row for row in known if row.name == name), None)
        if before is not None and integrations.of_manifest(before.integration) is not integration:
            raise PerdureError(
                "P0230",
                f"{name!r} is a connection to {before.integration} already",
                help=f"take another name, or remove it first: perdure connections remove {name}",
            )
        if before is None and len(known) >= MAX_CONNECTIONS:
            raise PerdureError("P0103", f"project {project!r} has {MAX_CONNECTIONS} connections already")
        row = self.new_row(project, name, before.integration if before else integration.name)
        kept = {
            integrations.variable(name, key): (value, integration.is_secret(key) and key not in public)
            for key, value in values.items()
        }
        await self._variables.set_all(project, kept, also=lambda transaction: transaction.put_connection(row))
        return row if before is None else before

    async def delete(self, project: str, name: str) -> bool:
        """The connection and all its values. False when there was none."""
        prefix = name + SEPARATOR

        def write(transaction: Transaction) -> bool:
            for row in transaction.vars(project):
                if row.name.startswith(prefix):
                    transaction.delete_var(project, row.name)
            return transaction.delete_connection(project, name)

        return await self._variables.change(project, write)

    async def rows(self, project: str) -> list[ConnectionRow]:
        """A project's connections by name."""
        return await asyncio.to_thread(self._store.connections, project)

    async def message(self, row: ConnectionRow) -> pb.Connection:
        """What clients may see of a connection: the names of its values, and which it lacks."""
        keys = await self.keys(row.project, row.name)
        entry = integrations.of_manifest(row.integration)
        return pb.Connection(
            project=row.project,
            name=row.name,
            integration=row.integration,
            keys=keys,
            missing=entry.missing(keys),
            set_us=row.set_us,
            webhook_url=f"{_PATH}{row.slug}" if entry.signing else "",
        )

    async def keys(self, project: str, name: str) -> list[str]:
        """Names of the values that a connection has: those that were set, and those of the manifest."""
        prefix = name + SEPARATOR
        names = await self._variables.names(project)
        return sorted(each.removeprefix(prefix) for each in names if each.startswith(prefix))

    async def values(self, row: ConnectionRow) -> dict[str, str]:
        """All values of a connection in clear, by the names that its integration gives them. Never for clients."""
        entry, prefix = integrations.of_manifest(row.integration), row.name + SEPARATOR
        found: dict[str, str] = {}
        for name, value in (await self._variables.opened(row.project, prefix)).items():
            short = name.removeprefix(prefix)
            found[key.name if (key := entry.key(short)) else short] = value
        return found

    async def endpoint(self, slug: str) -> Endpoint:
        """Where this part of a URL leads. Raises P0223 for one that leads nowhere."""
        row = await asyncio.to_thread(self._store.connection_by_slug, slug)
        entry = integrations.of_manifest(row.integration) if row else None
        if row is None or entry is None or not entry.signing:
            raise PerdureError("P0223", "no connection receives events at this address")
        values = await self.values(row)
        header = values.get("signature_header", "x-signature-256")
        return Endpoint(row, entry.signing, values.get(entry.signing_key, ""), header)

    def declared(self, project: str, named: Iterable[Connection]) -> list[ConnectionRow]:
        """Rows of the connections of a manifest: those that there are already keep their slug."""
        return [self.new_row(project, each.name, each.integration) for each in named]

    def new_row(self, project: str, name: str, integration: str) -> ConnectionRow:
        """With a slug that nobody can guess."""
        return ConnectionRow(project, name, integration, secrets.token_urlsafe(_SLUG_BYTES), self._clock.now_us())


class ConnectionControl:
    """The part of `Control`."""

    _c: Coordinator

    async def _message(self, row: ConnectionRow) -> pb.Connection:
        made = await self._c.connections.message(row)
        if made.webhook_url:
            made.webhook_url = self._c.public_url + made.webhook_url
        return made

    async def list_connections(self, request: pb.ListConnectionsRequest) -> pb.ListConnectionsResponse:
        project = project_of(self._c, request.project)
        rows = await self._c.connections.rows(project)
        return pb.ListConnectionsResponse(connections=[await self._message(row) for row in rows])

    async def put_connection(self, request: pb.PutConnectionRequest) -> pb.Connection:
        project = project_of(self._c, request.project)
        entry = integrations.integration(request.integration)
        row = await self._c.connections.put(project, request.name, entry, request.values, request.plain)
        return await self._message(row)

    async def delete_connection(self, request: pb.DeleteConnectionRequest) -> pb.DeleteConnectionResponse:
        project = project_of(self._c, request.project)
        return pb.DeleteConnectionResponse(existed=await self._c.connections.delete(project, request.name))


def _check(name: str, values: Mapping[str, bytes]) -> None:
    if not _NAME.fullmatch(name) or SEPARATOR in name:
        raise PerdureError(
            "P0103", f"{name[:80]!r} is no name of a connection", help="use letters, digits and single '_'"
        )
    if len(values) > MAX_KEYS:
        raise PerdureError("P0103", f"a connection has at most {MAX_KEYS} values, not {len(values)}")
    for key in values:
        if not _KEY.fullmatch(key):
            raise PerdureError("P0103", f"{key[:80]!r} is no key of a connection", help="use letters, digits and '_'")
