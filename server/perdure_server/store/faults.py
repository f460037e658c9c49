"""One table from SQLite's errors to perdure's."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from perdure_server.core.errors import PerdureError

# Primary result codes (the low byte of https://www.sqlite.org/rescode.html).
_CODES: Final[dict[int, tuple[str, str]]] = {
    sqlite3.SQLITE_FULL: ("P0211", "there is no space left for the journal"),
    sqlite3.SQLITE_BUSY: ("P0202", "another program keeps the journal locked"),
    sqlite3.SQLITE_LOCKED: ("P0202", "another program keeps the journal locked"),
    sqlite3.SQLITE_CORRUPT: ("P0209", "the journal is damaged"),
    sqlite3.SQLITE_NOTADB: ("P0209", "the journal is not a database"),
    sqlite3.SQLITE_IOERR: ("P0209", "the disk reports an error"),
    sqlite3.SQLITE_CANTOPEN: ("P0209", "the journal cannot be opened"),
    sqlite3.SQLITE_READONLY: ("P0209", "the journal cannot be written"),
    sqlite3.SQLITE_PERM: ("P0209", "the journal cannot be written"),
}
_NOT_A_SCHEMA: Final = ("P0209", "the journal's tables are not those of its schema")


def translate(error: sqlite3.Error) -> PerdureError | None:
    """What the error means to people; None when it is a mistake of ours (a constraint, a wrong parameter)."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or code & 0xFF in {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_MISMATCH}:
        return None
    number, message = _CODES.get(code & 0xFF, _NOT_A_SCHEMA)
    return PerdureError(number, f"{message} ({error.sqlite_errorname}: {error})")


@contextmanager
def faults() -> Iterator[None]:
    """Turns errors of SQLite into errors for people."""
    try:
        yield
    except sqlite3.Error as error:
        told = translate(error)
        if told is None:
            raise
        raise told from error
