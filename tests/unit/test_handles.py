"""Handles: live objects as user code sees them, in the process that made them and in later ones."""

from __future__ import annotations

import asyncio
import copy
import io
import pickle
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import Any

import httpx
import perdure
import pytest
import requests
import sqlalchemy
from handles_support import Session, at_every_entry, library, user_function
from perdure import _handle
from perdure_runner.child.handles import registry, shape

LIVE = library(
    "liblive",
    """
import threading
class Live:
    def __init__(self, n):
        self.n, self.lock = n, threading.Lock()
    def add(self, by):
        with self.lock:
            self.n += by
        return self
    @property
    def double(self): return self.n * 2
    def __len__(self): return self.n
    def __iadd__(self, by): return self.add(by)
    async def later(self): return self.n
    async def __aenter__(self): return self
    async def __aexit__(self, *error): return None
class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return self.x == other.x
    __hash__ = None
class Closing(Point):
    def __init__(self): self.x, self.inner = [], Live(1)
    def __del__(self): self.inner.n = -1
class Open:
    def __init__(self): self.generator = (i for i in range(3))
    def use(self): return 1
def made_here():
    class Hidden(Live):
        def shout(self): return "!" * self.n
    return Hidden(3)
def letters():
    yield "a"
    yield "b"
""",
)


# ---- what user code sees


def test_a_proxy_looks_like_the_real_thing() -> None:
    connection = Session().call(sqlite3.connect, ":memory:")
    assert isinstance(connection, sqlite3.Connection)
    assert connection.__class__ is sqlite3.Connection
    assert type(connection).__name__ == "Connection"
    assert "execute" in dir(connection)
    assert connection.isolation_level == ""
    assert not hasattr(connection, "nothing")
    assert repr(connection) == "<sqlite3.Connection of call main/1>"
    assert callable(connection.execute)
    assert connection.execute == connection.execute
    assert connection.execute.__qualname__ == "Connection.execute"


def test_the_same_object_is_the_same_proxy() -> None:
    session = Session()
    connection = session.call(sqlite3.connect, ":memory:")
    cursor = connection.cursor()
    assert cursor.connection is connection
    assert cursor.execute("SELECT 1") is cursor
    assert session.call(lambda *things: list(things), connection, [cursor])[1][0] is cursor
    assert len({connection, cursor, connection}) == 2


def test_it_is_neither_copied_nor_pickled() -> None:
    connection = Session().call(sqlite3.connect, ":memory:")
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a live object of sqlite3"):
            copying(connection)


def test_activities_get_the_live_object_wherever_it_is() -> None:
    session = Session()
    connection = session.call(sqlite3.connect, ":memory:")
    cursor = connection.cursor()
    kinds: list[Any] = []
    session.call(lambda *a, **k: kinds.extend([a, k]), connection, [cursor, 1], {"x": (cursor,)}, y=connection)
    (one, two, three), named = kinds
    assert type(one) is type(named["y"]) is sqlite3.Connection
    assert type(two[0]) is type(three["x"][0]) is sqlite3.Cursor


def test_arguments_without_handles_are_left_as_they_are() -> None:
    session = Session()
    connection = session.call(sqlite3.connect, ":memory:")
    args, kwargs = ([1, [2]], {"x": (3,)}), {"y": {4}}
    assert session.table.unwrap(args, kwargs)[0] is args
    assert session.table.unwrap(args, kwargs)[1] is kwargs
    assert connection is not None


def test_inside_an_activity_a_proxy_works_directly() -> None:
    session = Session()
    holder = type("Holder", (), {})()
    holder.connection = session.call(sqlite3.connect, ":memory:")
    assert session.call(lambda held: held.connection.execute("SELECT 3").fetchone()[0], holder) == 3
    assert len(session.journal) == 2


def test_what_is_cheap_is_a_marker() -> None:
    session = Session()
    connection = session.call(sqlite3.connect, ":memory:")
    connection.execute("SELECT 1").fetchall()
    assert session.names == [
        "activity sqlite3.connect",
        "activity sqlite3.Connection.execute",
        "marker sqlite3.Cursor.fetchall",
    ]


def test_of_an_unknown_class_operators_and_properties_are_activities() -> None:
    session = Session()
    live = session.call(LIVE.Live, 2)
    assert (len(live), live.double, live.n) == (2, 4, 2)
    assert session.names[1:] == [
        "activity liblive.Live.__len__",
        "activity liblive.Live.double",
        "marker liblive.Live.n",
    ]


def test_values_stay_values() -> None:
    session = Session()
    point = session.call(LIVE.Point, 1)
    assert type(point) is LIVE.Point
    assert type(session.call(Path, "x")) is type(Path("x"))
    assert session.call(dict, a=[1]) == {"a": [1]}


def test_what_has_a_finalizer_is_no_value_whose_copies_would_end_what_they_share() -> None:
    closing = Session().call(LIVE.Closing)
    assert isinstance(closing, LIVE.Closing)
    assert type(closing) is not LIVE.Closing
    assert closing.inner.n == 1


def test_an_awaitable_interface() -> None:
    session = Session()

    async def main() -> list[Any]:
        live = session.call(LIVE.Live, 5)
        async with live as same:
            return [same is live, await live.later()]

    assert asyncio.run(main()) == [True, 5]
    assert session.names[1:] == [f"activity liblive.Live.{name}" for name in ("__aenter__", "later", "__aexit__")]


def test_a_class_made_at_run_time_needs_no_live_object_in_replay() -> None:
    def program(session: Session) -> Any:
        hidden = session.call(LIVE.made_here)
        return [hidden.shout(), len(hidden), isinstance(hidden, LIVE.Live), type(hidden).__name__]

    first = Session()
    assert program(first) == ["!!!", 3, True, "Hidden"]
    second = Session(first.journal)
    assert program(second) == ["!!!", 3, True, "Hidden"]
    assert not second.ran


# ---- made again


@pytest.mark.parametrize("mode", ["w", "a", "x", "w+"])
def test_a_file_that_is_written(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"

    def program(session: Session) -> Any:
        stream = session.call(open, str(path), mode)
        counts = [stream.write("one\n"), stream.write("two\n")]
        print("three", file=stream)
        stream.close()
        return [counts, stream.closed, stream.name, path.read_text()]

    result = at_every_entry(program, lambda: path.unlink(missing_ok=True))
    assert result == [[4, 4], True, str(path), "one\ntwo\nthree\n"]


def test_a_file_that_is_dropped_has_been_written(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"

    def program(session: Session) -> Any:
        session.call(open, str(path), "w").write("all")
        return session.call(path.read_text)

    assert at_every_entry(program) == "all"


def test_a_file_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("one\ntwo\nthree\n")

    def program(session: Session) -> Any:
        with session.call(open, path) as stream:
            return [stream.readline(), next(stream), [*stream], stream.read(), isinstance(stream, io.TextIOWrapper)]

    assert at_every_entry(program) == ["one\n", "two\n", ["three\n"], "", True]


def test_a_file_that_has_changed_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("one\ntwo\n")
    first = Session()
    first.call(open, path).readline()
    path.write_text("other\ntwo\n")
    again = Session(first.journal).call(open, path)
    assert again.readline() == "one\n"
    with pytest.raises(perdure.HandleLost, match="readline gives something else now than it did"):
        again.readline()


def test_a_database_in_memory_is_filled_again() -> None:
    def program(session: Session) -> Any:
        connection = session.call(sqlite3.connect, ":memory:")
        connection.execute("CREATE TABLE t (n)")
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
        with connection:
            last = connection.execute("INSERT INTO t VALUES (3)").lastrowid
        rows = cursor.execute("SELECT n FROM t ORDER BY n")
        return [last, rows.fetchone(), [*rows], cursor.description[0][0]]

    assert at_every_entry(program) == [3, (1,), [(2,), (3,)], "n"]


def test_a_transaction_is_lost(tmp_path: Path) -> None:
    def program(session: Session) -> Any:
        connection = session.call(sqlite3.connect, str(tmp_path / "x.db"))
        connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
        cursor = connection.cursor()
        cursor.execute("INSERT INTO t VALUES (1)")
        return connection

    first = Session()
    program(first).close()
    connection = program(Session(first.journal[:4]))
    with pytest.raises(perdure.HandleLost) as caught:
        connection.commit()
    message = str(caught.value)
    assert message.startswith("the sqlite3.Connection made at handlers.py:12 is gone with the process that held it")
    assert message.endswith("its transaction, which was not committed, was rolled back with it")
    assert (caught.value.code, "perdure.register_handle" in caught.value.help) == ("P0406", True)


def test_a_session_keeps_its_headers_and_cookies() -> None:
    def program(session: Session) -> Any:
        client = session.call(requests.Session)
        client.headers["X-Shop"] = "tea"
        client.params["page"] = 2
        client.cookies.set("login", "yes")
        client.auth = ("me", "secret")
        prepared = client.prepare_request(requests.Request("GET", "http://shop/"))
        return [prepared.url, prepared.headers["X-Shop"], prepared.headers["Cookie"], client.auth]

    assert at_every_entry(program) == ["http://shop/?page=2", "tea", "login=yes", ("me", "secret")]


def test_an_httpx_client_keeps_its_cookies() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"set-cookie": "login=yes"}, text=request.headers.get("cookie", "none"))

    def program(session: Session) -> Any:
        client = session.call(httpx.Client, transport=httpx.MockTransport(answer), base_url="http://shop")
        return [client.get("/").text, client.get("/").text]

    assert at_every_entry(program) == ["none", "login=yes"]


def test_a_library_object_is_kept_by_its_state() -> None:
    def program(session: Session) -> Any:
        live = session.call(LIVE.Live, 1)
        live.add(2)
        live += 3
        live.n = live.n + 4
        return [live.double, len(live), live.add(0) is live]

    assert at_every_entry(program) == [20, 10, True]


def test_an_engine_is_made_again(tmp_path: Path) -> None:
    def program(session: Session) -> Any:
        engine = session.call(sqlalchemy.create_engine, f"sqlite:///{tmp_path}/x.db")
        with engine.connect() as connection:
            assert connection.engine is engine
        return [engine.dialect.name, isinstance(engine, sqlalchemy.Engine)]

    assert at_every_entry(program) == ["sqlite", True]


def test_a_temporary_folder_is_the_same_one(tmp_path: Path) -> None:
    def program(session: Session) -> Any:
        with session.call(tempfile.TemporaryDirectory, dir=tmp_path) as name:
            there = Path(name).is_dir()
            session.call(len, name)
            count = len([*tmp_path.iterdir()])
        return [there, count, Path(name).exists()]

    first = Session()
    assert program(first) == [True, 1, False]
    folder = tmp_path / "kept"
    folder.mkdir()
    held = Session()
    made = held.call(tempfile.TemporaryDirectory, dir=tmp_path)
    name = made.__enter__()
    again = Session(held.journal[:2]).call(tempfile.TemporaryDirectory, dir=tmp_path)
    assert again.__enter__() == name
    again.cleanup()
    assert not Path(name).exists()
    # A crash in the middle of its removal, or right after it, is no reason to fail: what is to be done is done.
    Session(held.journal[:1]).call(tempfile.TemporaryDirectory, dir=tmp_path).cleanup()
    assert [*tmp_path.iterdir()] == [folder]


# ---- generators


def test_a_generator_of_the_projects_is_taken_up_where_it_was() -> None:
    squares = user_function("def squares(n):\n    for i in range(n):\n        yield i * i", "squares")

    def program(session: Session) -> Any:
        items = session.call(squares, 4)
        return [next(items), [*items], next(items, "no more")]

    assert at_every_entry(program) == [0, [1, 4, 9], "no more"]


def test_a_generator_that_calls_out_is_lost() -> None:
    def calls_out() -> None:
        session.call(len, "x")

    steps = user_function("def steps():\n    yield 1\n    call()\n    yield 2\n    yield 3", "steps", call=calls_out)
    first = session = Session()
    items = first.call(steps)
    assert [next(items), next(items)] == [1, 2]
    session = Session(first.journal)
    items = session.call(steps)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(perdure.HandleLost, match="repeat a call"):
        next(items)


def test_a_librarys_generator_is_not_begun_anew() -> None:
    def begun(session: Session, items: int) -> Any:
        letters = session.call(LIVE.letters)
        return letters, [next(letters) for _ in range(items)]

    first = Session()
    letters, _ = begun(first, 2)
    assert next(letters, None) is None
    fresh, _ = begun(Session(first.journal[:1]), 0)
    assert next(fresh) == "a"
    lost, _ = begun(Session(first.journal[:2]), 1)
    with pytest.raises(perdure.HandleLost, match="must not be done again"):
        next(lost)
    ended, _ = begun(Session(first.journal), 2)
    assert next(ended, "end") == "end"
    ended.close()


# ---- what users say


@pytest.fixture
def registered() -> Any:
    before = dict(_handle.registered)
    yield _handle.registered
    _handle.registered.clear()
    _handle.registered.update(before)


def test_what_nothing_is_known_of_is_lost() -> None:
    first = Session()
    first.call(LIVE.Open).use()
    again = Session(first.journal).call(LIVE.Open)
    assert again.use() == 1
    with pytest.raises(perdure.HandleLost, match="nothing says how it could be made again"):
        again.use()


def test_a_registered_class_is_made_again(registered: dict[str, Any]) -> None:
    perdure.register_handle("liblive.Open", recreate="again", cheap=["use"])
    first = Session()
    first.call(LIVE.Open).use()
    assert first.names[1] == "marker liblive.Open.use"
    second = Session(first.journal)
    again = second.call(LIVE.Open)
    assert [again.use(), again.use()] == [1, 1]
    assert len(registered) == 1


@pytest.mark.usefixtures("registered")
def test_a_function_makes_it_again() -> None:
    made: list[tuple[Any, ...]] = []

    def recreate(*args: Any) -> Any:
        made.append(args)
        return LIVE.Live(*args)

    perdure.register_handle(LIVE.Live, recreate=recreate)
    first = Session()
    first.call(LIVE.Live, 7)
    assert Session(first.journal).call(LIVE.Live, 7).double == 14
    assert made == [(7,)]


@pytest.mark.usefixtures("registered")
def test_a_marked_class_is_harmless_in_a_plain_script() -> None:
    @perdure.handle(recreate="again", cheap=["look"])
    class Plain:
        def look(self) -> int:
            return 1

    assert Plain().look() == 1
    assert type(Plain()) is Plain
    assert perdure.handle(type("Bare", (), {})).__name__ == "Bare"


@pytest.mark.parametrize(
    ("thing", "how", "error"), [(3, None, TypeError), ("", None, TypeError), ("a.B", "so", ValueError)]
)
def test_wrong_registrations_are_refused(thing: Any, how: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        perdure.register_handle(thing, recreate=how)


@pytest.mark.parametrize(
    ("cls", "remake"),
    [
        (requests.Session, "state"),
        (httpx.Client, "again"),
        (httpx.AsyncClient, "again"),
        (sqlalchemy.Engine, "again"),
        (sqlalchemy.Connection, "again"),
        (sqlite3.Connection, "again"),
        (sqlite3.Cursor, "cursor"),
        (io.TextIOWrapper, "file"),
        (io.BufferedReader, "file"),
        (tempfile.TemporaryDirectory, "folder"),
        (type(threading.Lock()), "reapply"),
    ],
)
def test_the_registry_knows_classes_by_the_names_they_have(cls: type, remake: str) -> None:
    kind, _ = registry.kind_of(shape.lineage_of(cls), len(_handle.registered))
    assert kind is not None
    assert kind.remake.value == remake
