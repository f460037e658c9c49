"""An approval: write a request to a database, wait for somebody's answer (or for nobody's), write the decision.

    perdure run examples/approvals --event '{"who": "ada", "what": "a new laptop", "price": 1900}'

Answer while it waits, from another terminal:

    perdure sessions signal SESSION approval '{"by": "grace", "ok": true}'
"""

import logging
import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from uuid import uuid4

import perdure

log = logging.getLogger("approvals")


@dataclass
class Request:
    who: str
    what: str
    price: int
    id: str = field(default_factory=lambda: uuid4().hex[:8])
    at: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))


@perdure.activity
def new_database() -> str:
    return tempfile.mkdtemp(prefix="approvals-") + "/approvals.db"


@perdure.activity(retry=3)
def save(database: str, request: dict, state: str) -> int:
    """One transaction. The key makes it safe to run twice: that is how a crash half-way does no harm."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("create table if not exists requests (key text primary key, id text, who text, state text)")
        connection.execute(
            "insert or ignore into requests values (?, ?, ?, ?)",
            (perdure.activity_key(), request["id"], request["who"], state),
        )
        return connection.execute("select count(*) from requests").fetchone()[0]


def needs_approval(request: Request) -> bool:
    return request.price > 100


def on_request(event):
    event = event or {"who": "ada", "what": "a new laptop", "price": 1900}
    request = Request(**event)
    database = new_database()
    save(database, asdict(request), "asked")
    print(f"{request.who} asks for {request.what} ({request.price})")

    decision = "approved"
    if needs_approval(request):
        answer = perdure.next_signal("approval", timeout=float(os.environ["APPROVAL_TIMEOUT_S"]))
        if answer is None:
            log.warning("nobody answered")
            decision = "expired"
        else:
            decision = "approved" if answer.payload["ok"] else "refused"
            print(f"{answer.payload['by']} says: {decision}")

    rows = save(database, asdict(request), decision)
    return {"decision": decision, "rows": rows}
