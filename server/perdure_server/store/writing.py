"""Every write, inside a transaction that somebody else begins and commits."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from perdure_server.core.errors import PerdureError
from perdure_server.store import statements as sql
from perdure_server.store.connections import ConnectionWrites
from perdure_server.store.events import EventWrites
from perdure_server.store.lifecycle import LifecycleWrites
from perdure_server.store.model import (
    KEEP,
    Append,
    Build,
    Deployment,
    Done,
    Failed,
    Fenced,
    InviteRow,
    Item,
    JoinedHost,
    Result,
    SessionRecord,
    SessionUpdate,
    TokenRow,
    VarRow,
)
from perdure_server.store.reading import Parameters, SqliteReads
from perdure_server.store.subscriptions import SubscriptionWrites
from perdure_server.store.values import ValueWrites


class SqliteTransaction(ConnectionWrites, EventWrites, LifecycleWrites, SubscriptionWrites, ValueWrites, SqliteReads):
    """Implements `base.Transaction` on a connection with an open transaction. Errors of SQLite leave it as they are."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._depth = 0

    def _rows(self, statement: str, parameters: Parameters) -> list[sqlite3.Row]:
        return self._connection.execute(statement, parameters).fetchall()

    def write(self, item: Item) -> Result:
        """Apply one item. A refusal or a Mutation's own exception becomes its result."""
        if not isinstance(item, Append):
            return self._undoing(lambda: Done(item.write(self)))
        if item.make is not None or item.also is not None:
            return self._undoing(lambda: self._append(item))
        return self._append(item)

    def _append(self, item: Append) -> Result:
        session_id = item.session_id
        head = self._connection.execute(sql.HEAD, {"session_id": session_id}).fetchone()
        if head is None or head[0] != item.epoch:
            return Fenced(None if head is None else head[0])
        last_seq: int = head[1]
        if (item.entries or item.first_seq) and item.first_seq != last_seq + 1:
            return Failed(PerdureError("P0214", f"entry {item.first_seq} cannot follow entry {last_seq}"))
        entries = item.entries if item.make is None else item.make(self)
        rows = [
            {"session_id": session_id, "seq": seq, "entry": entry} for seq, entry in enumerate(entries, item.first_seq)
        ]
        if len(rows) == 1:
            self._connection.execute(sql.APPEND_ENTRY, rows[0])
        elif rows:
            self._connection.executemany(sql.APPEND_ENTRY, rows)
        if item.logs:
            self._append_logs(item)
        last_seq += len(rows)
        if item.consumes is not None:
            self._consume(session_id, item.consumes, last_seq)
        if item.update is not None:
            self.update_session(session_id, item.update)
        if item.also is not None:
            item.also(self)
        return Done(last_seq)

    def _append_logs(self, item: Append) -> None:
        self._connection.executemany(
            sql.APPEND_LOG,
            [
                {"session_id": item.session_id, "ordinal": row.ordinal, "idx": row.index, "line": row.line}
                for row in item.logs
            ],
        )

    def consume_signal(self, session_id: str, n: int) -> None:
        self._consume(session_id, n, 0)

    def _consume(self, session_id: str, n: int, seq: int) -> None:
        taken = self._connection.execute(
            sql.CONSUME_SIGNAL, {"signal_session": session_id, "signal_n": n, "seq": seq}
        ).rowcount
        if not taken:
            raise ValueError(f"signal {n} of session {session_id} is taken already, or never came")

    def _undoing(self, write: Callable[[], Result]) -> Result:
        try:
            with self.attempt():
                return write()
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - the submitter's exception goes back to the submitter
            return Failed(error)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        self._depth += 1
        name = f"attempt{self._depth}"
        self._connection.execute(f"SAVEPOINT {name}")
        try:
            yield
        except sqlite3.Error:
            raise
        except BaseException:
            self._connection.execute(f"ROLLBACK TO {name}")
            self._connection.execute(f"RELEASE {name}")
            raise
        else:
            self._connection.execute(f"RELEASE {name}")
        finally:
            self._depth -= 1

    def insert_session(self, session: SessionRecord) -> bool:
        columns = asdict(session)
        del columns["entries"]
        columns |= {"stop_requested": _json(session.stop_requested), "memo": _json(session.memo)}
        return self._connection.execute(sql.INSERT_SESSION, columns).rowcount == 1

    def raise_epoch(self, session_id: str) -> int:
        rows = self._rows(sql.RAISE_EPOCH, {"session_id": session_id})
        if not rows:
            raise _unknown(session_id)
        epoch: int = rows[0][0]
        return epoch

    def update_session(self, session_id: str, update: SessionUpdate) -> None:
        changes = update.changes()
        if not changes:
            return
        if "stop_requested" in changes:
            changes["stop_requested"] = _json(changes["stop_requested"])
        # The one text that is made here: its columns are the fields of a dataclass of ours.
        columns = ", ".join(f"{name} = :{name}" for name in changes)
        statement = f"UPDATE sessions SET {columns} WHERE session_id = :session_id"  # noqa: S608
        if not self._connection.execute(statement, {**changes, "session_id": session_id}).rowcount:
            raise _unknown(session_id)
        if update.ended_us not in {KEEP, None}:
            self.delete_subscriptions(session_id)

    def copy_entries(self, source_id: str, target_id: str, upto_seq: int) -> None:
        parameters = {"source_id": source_id, "target_id": target_id, "upto_seq": upto_seq}
        self._connection.execute(sql.COPY_ENTRIES, parameters)
        self._copy_ends(parameters)

    def delete_session(self, session_id: str) -> None:
        self.delete_subscriptions(session_id)
        self.delete_deliveries_to(session_id)
        for statement in (sql.DELETE_ENTRIES, sql.DELETE_LOGS, sql.DELETE_SIGNALS, sql.DELETE_SESSION):
            self._connection.execute(statement, {"session_id": session_id})

    def add_signal(self, session_id: str, name: str, payload: bytes, at_us: int) -> int:
        if self.load_session(session_id) is None:
            raise _unknown(session_id)
        parameters = {"session_id": session_id, "name": name, "payload": payload, "at_us": at_us}
        n: int = self._rows(sql.ADD_SIGNAL, parameters)[0][0]
        return n

    def put_project(self, name: str, created_us: int) -> None:
        self._connection.execute(sql.PUT_PROJECT, {"name": name, "created_us": created_us})

    def put_build(self, build: Build) -> None:
        columns = asdict(build) | {"exports": _json(build.exports), "manifest": _json(build.manifest)}
        self._connection.execute(sql.PUT_BUILD, columns)

    def activate(self, deployment: Deployment) -> None:
        self._connection.execute(sql.DRAIN, {"of_project": deployment.project})
        self.retire_deployments()
        columns = asdict(deployment) | {"vars": _json(deployment.vars), "settings": _json(deployment.settings)}
        self._connection.execute(sql.INSERT_DEPLOYMENT, columns)

    def put_fact(self, name: str, value: str) -> None:
        self._connection.execute(sql.PUT_META, {"name": name, "value": value})

    def put_var(self, row: VarRow) -> None:
        self._connection.execute(sql.PUT_VAR, asdict(row))

    def delete_var(self, project: str, name: str) -> bool:
        return self._connection.execute(sql.DELETE_VAR, {"project": project, "name": name}).rowcount == 1

    def put_token(self, token: TokenRow) -> None:
        self._connection.execute(sql.PUT_BEARER, asdict(token))

    def token_used(self, token_id: str, at_us: int) -> None:
        self._connection.execute(sql.BEARER_USED, {"of_token": token_id, "at_us": at_us})

    def delete_token(self, token_id: str) -> bool:
        return self._connection.execute(sql.DELETE_BEARER, {"token_id": token_id}).rowcount == 1

    def put_invite(self, invite: InviteRow) -> None:
        self._connection.execute(sql.PUT_INVITE, asdict(invite))

    def delete_invite(self, invite_id: str) -> bool:
        return self._connection.execute(sql.DELETE_INVITE, {"invite_id": invite_id}).rowcount == 1

    def drop_invites(self, now_us: int) -> None:
        self._connection.execute(sql.DROP_INVITES, {"now_us": now_us})

    def put_host(self, host: JoinedHost) -> None:
        self._connection.execute(sql.PUT_HOST, asdict(host))

    def delete_host(self, host_id: str) -> bool:
        return self._connection.execute(sql.DELETE_HOST, {"host_id": host_id}).rowcount == 1

    def retire_deployments(self) -> int:
        return self._connection.execute(sql.RETIRE).rowcount


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _unknown(session_id: str) -> PerdureError:
    return PerdureError("P0204", f"unknown session {session_id!r}")
