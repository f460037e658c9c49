"""The store on SQLite: one writing connection in WAL mode with `synchronous=FULL`, and a few that read."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from perdure_server.core.errors import PerdureError
from perdure_server.store import statements as sql
from perdure_server.store.base import Store
from perdure_server.store.faults import faults, translate
from perdure_server.store.group_commit import GroupCommit
from perdure_server.store.home import HomeLock
from perdure_server.store.model import Failed, Item, Result
from perdure_server.store.reading import Parameters, SqliteReads
from perdure_server.store.writing import SqliteTransaction

DATABASE: Final = "perdure.db"
# A file of up to this size is checked as a whole when it is opened (about 1 ms per MiB).
_CHECKED_BYTES: Final = 4 * 1024 * 1024
_MAGIC: Final = b"SQLite format 3\0"
_BUSY_TIMEOUT_S: Final = 5.0


class SqliteStore(SqliteReads, Store):
    """Implements `base.Store`."""

    def __init__(self, writer: sqlite3.Connection, path: Path | None, lock: HomeLock | None = None) -> None:
        """`path` None: the writer's connection is the only one (in memory), and reads use it too."""
        self._writer = writer
        self._path = path
        self._home_lock = lock
        self._writing = threading.Lock()
        self._idle_readers: list[sqlite3.Connection] = []
        self._group: GroupCommit | None = None
        self._coordinator_id = {str(row[0]): str(row[1]) for row in writer.execute(sql.META)}["coordinator_id"]

    @staticmethod
    def open(home: Path, *, read_only: bool = False) -> SqliteStore:
        path = home / DATABASE
        if read_only:
            return _open_read_only(path)
        lock = HomeLock(home)
        try:
            with faults():
                writer = _prepare(path)
                return SqliteStore(writer, path, lock)
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def memory() -> SqliteStore:
        writer = _connect(":memory:")
        _create(writer)
        return SqliteStore(writer, None)

    @property
    def coordinator_id(self) -> str:
        return self._coordinator_id

    def submit(self, item: Item, on_result: Callable[[Result], None]) -> None:
        if self._group is None:
            self._group = GroupCommit(self._write, asyncio.get_running_loop())
        self._group.submit(item, on_result)

    async def commit(self, item: Item) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def settle(result: Result) -> None:
            if not future.done():
                future.set_result(result)

        self.submit(item, settle)
        return _unless_failed(await future)

    def apply(self, item: Item) -> Result:
        return _unless_failed(self._write([item])[0])

    def close(self) -> None:
        if self._group is not None:
            self._group.flush()
            self._group = None
        with self._writing:
            for connection in (*self._idle_readers, self._writer):
                connection.close()
            self._idle_readers.clear()
        if self._home_lock is not None:
            self._home_lock.release()

    def _rows(self, statement: str, parameters: Parameters) -> list[sqlite3.Row]:
        with faults(), self._reader() as connection:
            return connection.execute(statement, parameters).fetchall()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own; one that met an error is not used again."""
        if self._path is None:
            with self._writing:
                yield self._writer
            return
        try:
            connection = self._idle_readers.pop()
        except IndexError:
            connection = _connect(_uri(self._path, "ro"))
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle_readers.append(connection)

    def _write(self, items: Sequence[Item]) -> list[Result]:
        """All items in one transaction; should that fail, each in its own, so that only the guilty one is refused."""
        with self._writing:
            try:
                return self._transaction(items)
            except Exception as error:  # noqa: BLE001 - as below
                if len(items) == 1:
                    return [_failed(error)]
            return [self._alone(item) for item in items]

    def _alone(self, item: Item) -> Result:
        try:
            return self._transaction([item])[0]
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever submitted the item
            return _failed(error)

    def _transaction(self, items: Sequence[Item]) -> list[Result]:
        transaction = SqliteTransaction(self._writer)
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            results = [transaction.write(item) for item in items]
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        return results


def _unless_failed(result: Result) -> Result:
    if isinstance(result, Failed):
        raise result.error
    return result


def _failed(error: Exception) -> Failed:
    told = translate(error) if isinstance(error, sqlite3.Error) else None
    if told is not None:
        told.__cause__ = error
    return Failed(told or error)


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


def _connect(database: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        database,
        uri=database.startswith("file:"),
        isolation_level=None,  # BEGIN and COMMIT are ours
        check_same_thread=False,  # handed from thread to thread, used by one at a time
        timeout=_BUSY_TIMEOUT_S,
        cached_statements=256,
    )
    connection.row_factory = sqlite3.Row
    return connection


def _open_read_only(path: Path) -> SqliteStore:
    if not path.exists():
        raise PerdureError("P0110", f"there is no journal in {path.parent}", help="name the folder with --home")
    with faults():
        _check_header(path)
        connection = _connect(_uri(path, "ro"))
        _check_version(connection, path)
        return SqliteStore(connection, path)


def _prepare(path: Path) -> sqlite3.Connection:
    """The writing connection of a database that is sound and has the newest schema."""
    if path.exists() and path.stat().st_size:
        _check_header(path)
    connection = _connect(_uri(path, "rwc"))
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if not connection.execute("PRAGMA schema_version").fetchone()[0]:
            _create(connection)
        else:
            _check_content(connection, path)
            if _check_version(connection, path) < sql.SCHEMA:
                _migrate(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise PerdureError("P0209", f"{path} is not a journal of perdure")


def _check_content(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > _CHECKED_BYTES:
        return
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise PerdureError("P0209", f"{path} is damaged: {found}")


def _check_version(connection: sqlite3.Connection, path: Path) -> str:
    version = str(connection.execute(sql.VERSION).fetchone()[0])
    if version > sql.SCHEMA:
        raise PerdureError("P0210", f"{path} has schema {version}, and this perdure knows {sql.SCHEMA}")
    return version


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in sql.CREATE:
        connection.execute(statement)
    connection.execute(sql.PUT_VERSION, {"version_num": sql.SCHEMA})
    facts = {"coordinator_id": uuid.uuid4().hex, "created_us": str(time.time_ns() // 1000)}
    connection.executemany(sql.PUT_META, [{"name": name, "value": value} for name, value in facts.items()])
    connection.execute("COMMIT")


def _migrate(path: Path) -> None:
    from perdure_server.store.schema.migrate import upgrade

    upgrade(f"sqlite:///{path.absolute()}")
