"""What is acknowledged stays, whatever happens to the process or the disk."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from perdure_server.core.errors import PerdureError
from perdure_server.store import Append, Done, Failed, Mutation, SessionRecord, Store
from perdure_server.store.faults import faults
from perdure_server.store.sqlite import SqliteStore


def session(name: str) -> SessionRecord:
    return SessionRecord(name, "p", "b" * 64, "d", "main.py:main", b"{}", 1, 7)


def put(store: Store, *names: str) -> None:
    for name in names:
        store.apply(Mutation(lambda tx, name=name: tx.insert_session(session(name))))  # type: ignore[misc]


# Appends without end to three sessions at once and prints what is acknowledged.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from perdure_server.store import Append, Mutation, SessionRecord, Store

async def main():
    store = Store.open(Path(sys.argv[1]))

    def write(name):
        record = SessionRecord(name, "p", "b", "d", "main.py:main", b"{}", 1, 7)
        return Mutation(lambda tx: tx.insert_session(record))

    async def work(name):
        await store.commit(write(name))
        seq = store.load_session(name).entries
        while True:
            seq += 1
            await store.commit(Append(name, 0, seq, [b"%s %d" % (name.encode(), seq)]))
            os.write(1, b"%s %d\\n" % (name.encode(), seq))

    await asyncio.gather(*(work(name) for name in "abc"))

asyncio.run(main())
"""


def test_kill_minus_nine_loses_nothing_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    acknowledged = dict.fromkeys("abc", 0)
    for _ in range(20):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(chance.randint(1, 40))]
        time.sleep(chance.uniform(0, 0.01))  # a real process has real time: it dies anywhere in its next transactions
        writer.send_signal(signal.SIGKILL)
        for line in [*lines, *writer.communicate()[0].splitlines(keepends=True)]:
            if line.endswith("\n"):
                name, seq = line.split()
                acknowledged[name] = int(seq)
        store = Store.open(tmp_path)
        for name, last in acknowledged.items():
            found = store.entries(name)
            assert len(found) >= last
            assert found == [f"{name} {seq}".encode() for seq in range(1, len(found) + 1)]
        store.close()
    assert min(acknowledged.values()) > 50


def limit(store: Store, pages: int) -> None:
    """A full disk, as SQLite sees it."""
    assert isinstance(store, SqliteStore)
    store._writer.execute(f"PRAGMA max_page_count = {pages}")


def pages(store: Store) -> int:
    assert isinstance(store, SqliteStore)
    return int(store._writer.execute("PRAGMA page_count").fetchone()[0])


def test_a_full_disk_refuses_what_does_not_fit_and_loses_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    put(store, "s", "t")
    store.apply(Append("s", 0, 1, [b"first"]))
    limit(store, pages(store) + 2)
    results: list[object] = []

    async def scenario() -> None:
        store.submit(Append("t", 0, 1, [b"small"]), results.append)
        store.submit(Append("s", 0, 2, [os.urandom(100_000)]), results.append)
        store.submit(Append("s", 0, 3, [b"after a gap"]), results.append)
        with pytest.raises(PerdureError) as caught:
            await store.commit(Append("t", 0, 2, [os.urandom(100_000)]))
        assert caught.value.code == "P0211"
        limit(store, 1_000_000)
        assert await store.commit(Append("s", 0, 2, [b"there is space again"])) == Done(2)

    asyncio.run(scenario())
    assert [result.code if isinstance(result, Failed) else result for result in results] == [Done(1), "P0211", "P0214"]
    assert store.entries("s") == [b"first", b"there is space again"]
    assert store.entries("t") == [b"small"]
    store.close()
    again = Store.open(tmp_path)
    assert again.entries("s") == [b"first", b"there is space again"]
    again.close()


def test_a_damaged_page_is_told_and_other_sessions_stay_readable(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    put(store, "s", "t")
    for seq in range(1, 1200):
        assert store.apply(Append("s", 0, seq, [os.urandom(4000)])) == Done(seq)
    store.close()
    path = tmp_path / "perdure.db"
    with path.open("r+b") as file:
        file.seek(900 * 4096)  # in the midst of what "s" wrote
        file.write(b"\xff" * 4096 * 20)
    store = Store.open(tmp_path)
    with pytest.raises(PerdureError) as caught:
        store.entries("s")
    assert caught.value.code == "P0209"
    assert store.load_session("t") is not None
    assert store.apply(Append("t", 0, 1, [b"goes on"])) == Done(1)
    store.close()


@pytest.mark.parametrize("content", [b"not a database at all, but a text", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_journal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "perdure.db").write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(PerdureError) as caught:
            Store.open(tmp_path, read_only=read_only)
        assert caught.value.code == "P0209"
    assert (tmp_path / "perdure.db").read_bytes() == content


def test_a_cut_file_is_found_at_start(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    put(store, "s")
    for seq in range(1, 200):
        store.apply(Append("s", 0, seq, [os.urandom(3000)]))
    store.close()
    path = tmp_path / "perdure.db"
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(PerdureError) as caught:
        Store.open(tmp_path)
    assert caught.value.code == "P0209"


def test_a_foreign_database_is_no_journal(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "perdure.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(PerdureError) as caught:
        Store.open(tmp_path)
    assert caught.value.code == "P0209"


def test_a_database_locked_by_another_program_is_told(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    put(store, "s")
    assert isinstance(store, SqliteStore)
    store._writer.execute("PRAGMA busy_timeout = 0")
    with sqlite3.connect(tmp_path / "perdure.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(PerdureError) as caught:
            store.apply(Append("s", 0, 1, [b"e"]))
        assert caught.value.code == "P0202"
        assert store.entries("s") == []
        other.execute("ROLLBACK")
    assert store.apply(Append("s", 0, 1, [b"e"])) == Done(1)
    store.close()


def test_our_own_mistakes_are_not_told_as_faults_of_the_disk() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x PRIMARY KEY)")
    with pytest.raises(sqlite3.IntegrityError), faults():
        connection.executemany("INSERT INTO t VALUES (?)", [(1,), (1,)])
