"""What clients can ask of a project's key-value store: part of `Control`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator import keyvalue
from perdure_server.coordinator.keyvalue import Shelf
from perdure_server.coordinator.starting import UNDEPLOYED, project_of
from perdure_server.core import jsontext
from perdure_server.core.errors import PerdureError, did_you_mean
from perdure_server.store import Done, Mutation, StoredRow, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


class ValueControl:
    """Methods of `Control`. They raise `PerdureError`: P0206, P0224, P0226, P0227, P0235."""

    _c: Coordinator

    async def get_value(self, request: pb.GetValueRequest) -> pb.StoredValue:
        project = project_of(self._c, request.project)
        row = await asyncio.to_thread(keyvalue.known, self._c.store, project, request.key)
        return _message(self._c, row)

    async def set_value(self, request: pb.SetValueRequest) -> pb.StoredValue:
        """Store a value, unless it is empty, and publish it or not, if that is asked. `null` deletes.

        P0206 for a project that neither was deployed nor has builds of its own (`perdure run`).
        """
        project = project_of(self._c, request.project)
        await asyncio.to_thread(_check_project, self._c, project)
        value = _parsed(request)
        shelf = _shelf(self._c, project)
        version = request.version if request.HasField("version") else None

        def write(tx: Transaction) -> StoredRow | None:
            key = keyvalue.check_key(request.key)
            if request.value:
                keyvalue.put(tx, shelf, key, value, version=version)
            else:
                keyvalue.check_version(tx.stored_value(project, key), key, version)
            if request.HasField("published"):
                keyvalue.publish(tx, shelf, key, published=request.published)
            return tx.stored_value(project, key)

        result = await self._c.store.commit(Mutation(write))
        assert isinstance(result, Done)
        gone = StoredRow(project, request.key, 0, published=False, set_us=shelf.now_us, value=b"null")
        return _message(self._c, result.value or gone)

    async def delete_value(self, request: pb.GetValueRequest) -> pb.DeleteValueResponse:
        project = project_of(self._c, request.project)
        key = keyvalue.check_key(request.key)
        result = await self._c.store.commit(Mutation(lambda tx: tx.delete_value(project, key)))
        assert isinstance(result, Done)
        return pb.DeleteValueResponse(existed=result.value)

    async def list_values(self, request: pb.ListValuesRequest) -> pb.ListValuesResponse:
        project = project_of(self._c, request.project)
        rows = await asyncio.to_thread(self._c.store.stored_values, project, request.prefix)
        return pb.ListValuesResponse(values=[_message(self._c, row) for row in rows])


def _check_project(c: Coordinator, project: str) -> None:
    """P0206: what is stored for a project that is in no list would never be seen again."""
    known = {name.removesuffix(UNDEPLOYED) for name in c.store.projects()}
    if project not in known:
        hint = did_you_mean(project, known) or "`perdure projects list` shows all"
        raise PerdureError("P0206", f"there is no project {project[:80]!r}", help=hint)


def _shelf(c: Coordinator, project: str) -> Shelf:
    return Shelf(project, c.clock.now_us(), c.settings.value_bytes, c.settings.project_values)


def _message(c: Coordinator, row: StoredRow) -> pb.StoredValue:
    """`url`: where it is published; a path when nobody has said by which address others come here."""
    path = f"/store/{quote(row.project, safe='')}/{quote(row.name, safe='')}"
    return pb.StoredValue(
        project=row.project,
        key=row.name,
        value=row.value,
        version=row.version,
        published=row.published,
        set_us=row.set_us,
        url=c.public_url + path if row.published else "",
    )


def _parsed(request: pb.SetValueRequest) -> object:
    if not request.value:
        if not request.HasField("published"):
            raise PerdureError("P0103", "there is neither a value to store nor whether to publish it")
        return None
    try:
        return jsontext.parse(request.value)
    except ValueError as error:
        raise PerdureError("P0201", f"the value for {request.key[:80]!r} is no JSON: {error}") from None
