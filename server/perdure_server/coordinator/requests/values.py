"""What sessions ask of their project's key-value store, and say of themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from perdure_server.coordinator import keyvalue
from perdure_server.coordinator.keyvalue import Shelf
from perdure_server.coordinator.requests.operations import Answer, Asker, Body, Entry, need, text
from perdure_server.core.errors import PerdureError
from perdure_server.store import SessionUpdate, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

Act = Callable[[Transaction, Shelf, str, Body], Any]


def _at_key(act: Act) -> Entry:
    """An operation on one key: what `act` returns is the answer."""

    def run(tx: Transaction, asker: Asker, body: Body) -> Answer:
        limits = asker.settings
        shelf = Shelf(asker.project, asker.now_us, limits.value_bytes, limits.project_values)
        return Answer(act(tx, shelf, keyvalue.check_key(body.get("key")), body))

    return Entry(run)


def _get(tx: Transaction, shelf: Shelf, key: str, body: Body) -> Any:
    row = tx.stored_value(shelf.project, key)
    value = keyvalue.decode(row)
    return {"value": value, "version": keyvalue.version_of(row)} if body.get("versioned") else value


def _set(tx: Transaction, shelf: Shelf, key: str, body: Body) -> int:
    version = None if body.get("version") is None else need(body, "version", int)
    return keyvalue.put(tx, shelf, key, body.get("value"), version=version)


def _delete(tx: Transaction, shelf: Shelf, key: str, _body: Body) -> bool:
    return tx.delete_value(shelf.project, key)


def _add(tx: Transaction, shelf: Shelf, key: str, body: Body) -> int | float:
    return keyvalue.add(tx, shelf, key, body.get("operand"))


def _check_and_set(tx: Transaction, shelf: Shelf, key: str, body: Body) -> bool:
    return keyvalue.check_and_set(tx, shelf, key, body.get("expected"), body.get("value"))


def _publish(tx: Transaction, shelf: Shelf, key: str, _body: Body) -> None:
    keyvalue.publish(tx, shelf, key, published=True)


def _unpublish(tx: Transaction, shelf: Shelf, key: str, _body: Body) -> None:
    keyvalue.publish(tx, shelf, key, published=False)


def _list(tx: Transaction, asker: Asker, body: Body) -> Answer:
    prefix = text(body, "prefix", 256, default="")
    return Answer([row.name for row in tx.stored_values(asker.project, prefix)])


async def _at_address(c: Coordinator, asker: Asker, _body: Body) -> Body:
    return {"url": store_url(c, asker.project)}


def _url(_tx: Transaction, _asker: Asker, body: Body) -> Answer:
    return Answer(body["url"])


def store_url(c: Coordinator, project: str) -> str:
    """Where a project's published values can be read: append "/" and the key. Empty where nothing serves them."""
    return f"{c.public_url}/store/{project}" if c.public_url else ""


def _set_status(tx: Transaction, asker: Asker, body: Body) -> Answer:
    status = json.dumps(body.get("value"), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    most = asker.settings.status_bytes
    if len(status) > most:
        raise PerdureError("P0402", f"the status has {len(status)} bytes as JSON, more than {most}")
    tx.update_session(asker.session_id, SessionUpdate(status=status))

    def tell(c: Coordinator) -> None:
        if (actor := c.actors.get(asker.session_id)) is not None:
            actor.record = replace(actor.record, status=status)
            c.publish_session(actor)

    return Answer(None, tell)


OPERATIONS: Final[Mapping[str, Entry]] = {
    "store.get": _at_key(_get),
    "store.set": _at_key(_set),
    "store.del": _at_key(_delete),
    "store.add": _at_key(_add),
    "store.check_and_set": _at_key(_check_and_set),
    "store.publish": _at_key(_publish),
    "store.unpublish": _at_key(_unpublish),
    "store.list": Entry(_list),
    "store.url": Entry(_url, _at_address),
    "status.set": Entry(_set_status),
}
