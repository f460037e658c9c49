"""The store on SQLite: fencing, pages of reads, deployments, schema."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from perdure_server.core.errors import PerdureError
from perdure_server.store import (
    Append,
    Build,
    Deployment,
    Done,
    Failed,
    Fenced,
    HomeLock,
    LogPosition,
    LogRow,
    Mutation,
    SessionKeys,
    SessionRecord,
    SessionUpdate,
    SignalRow,
    Store,
    Transaction,
)


def session(name: str, created_us: int = 1, project: str = "p", **more: object) -> SessionRecord:
    return SessionRecord(name, project, "b" * 64, "d1", "main.py:main", b"{}", created_us, 7, **more)  # type: ignore[arg-type]


def put(store: Store, *records: SessionRecord) -> None:
    for record in records:
        assert store.apply(Mutation(lambda tx, record=record: tx.insert_session(record))) == Done(True)  # type: ignore[misc]


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "home") if request.param == "file" else Store.memory()
    yield store
    store.close()


def test_a_session_comes_back_as_it_was_put(store: Store) -> None:
    record = session(
        "s1",
        durable=False,
        parent_id="up",
        origin_id="o",
        stop_requested={"kind": "polite", "reason": "ö"},
        waiting=b"\x00\xff",
        wake_at_us=5,
    )
    put(store, record)
    assert store.load_session("s1") == record
    assert store.load_session("s2") is None
    assert store.apply(Mutation(lambda tx: tx.insert_session(session("s1", 99)))) == Done(False)
    assert store.load_session("s1") == record


def test_append_numbers_entries_and_keeps_them_in_order(store: Store) -> None:
    put(store, session("s"))
    assert store.apply(Append("s", 0, 1, [b"one", b"two"])) == Done(2)
    assert store.apply(Append("s", 0, 3, [b"three"])) == Done(3)
    assert store.entries("s") == [b"one", b"two", b"three"]
    assert store.entries("s", after_seq=1, limit=1) == [b"two"]
    loaded = store.load_session("s")
    assert loaded is not None
    assert loaded.entries == 3


def test_an_older_epoch_writes_nothing(store: Store) -> None:
    put(store, session("s"))
    assert store.apply(Mutation(lambda tx: tx.raise_epoch("s"))) == Done(1)
    everything = Append("s", 0, 1, [b"e"], [LogRow(0, 0, b"l")], SessionUpdate(state="completed"))
    assert store.apply(everything) == Fenced(1)
    assert (store.entries("s"), store.logs("s")) == ([], [])
    assert store.load_session("s").state == "created"  # type: ignore[union-attr]
    assert store.apply(Append("ghost", 0, 1, [b"e"])) == Fenced(None)


@pytest.mark.parametrize("first_seq", [0, 1, 3, 4])
def test_a_gap_or_an_overwrite_is_refused(store: Store, first_seq: int) -> None:
    put(store, session("s"))
    store.apply(Append("s", 0, 1, [b"one"]))
    with pytest.raises(PerdureError) as caught:
        store.apply(Append("s", 0, first_seq, [b"two"]))
    assert caught.value.code == "P0214"
    assert store.entries("s") == [b"one"]


def test_an_update_without_entries_can_still_insist_on_what_comes_before(store: Store) -> None:
    put(store, session("s"))
    with pytest.raises(PerdureError):
        store.apply(Append("s", 0, 2, update=SessionUpdate(state="completed")))
    assert store.apply(Append("s", 0, update=SessionUpdate(state="running"))) == Done(0)
    assert store.load_session("s").state == "running"  # type: ignore[union-attr]


def test_updates_change_what_they_name_and_can_clear(store: Store) -> None:
    put(store, session("s", wake_at_us=9, waiting=b"w"))
    store.apply(Append("s", 0, update=SessionUpdate(state="running", wake_at_us=None, stop_requested={"a": 1})))
    loaded = store.load_session("s")
    assert loaded is not None
    assert (loaded.state, loaded.wake_at_us, loaded.waiting, loaded.stop_requested) == ("running", None, b"w", {"a": 1})


def test_the_same_line_of_output_is_kept_once(store: Store) -> None:
    put(store, session("s"))
    assert store.last_log("s") == LogPosition() == LogPosition(0, -1)
    lines = [LogRow(0, 0, b"a"), LogRow(0, 1, b"bb"), LogRow(2, 0, b"ccc")]
    store.apply(Append("s", 0, logs=lines))
    store.apply(Append("s", 0, logs=[*lines[1:], LogRow(2, 1, b"dddd")]))
    assert [row.line for row in store.logs("s")] == [b"a", b"bb", b"ccc", b"dddd"]
    assert [row.line for row in store.logs("s", after=lines[1].position, limit=1)] == [b"ccc"]
    assert store.last_log("s") == LogPosition(2, 1)
    assert store.log_bytes("s") == 10


def test_lists_are_paged_newest_first(store: Store) -> None:
    put(
        store,
        *(
            session(f"s{n}", created_us=n // 2, project="pq"[n % 2], state=["running", "failed"][n % 2])
            for n in range(6)
        ),
    )
    assert [s.session_id for s in store.list_sessions(limit=4)] == ["s5", "s4", "s3", "s2"]
    assert [s.session_id for s in store.list_sessions(limit=4, before="s2")] == ["s1", "s0"]
    assert [s.session_id for s in store.list_sessions("q")] == ["s5", "s3", "s1"]
    assert [s.session_id for s in store.list_sessions(states=["running", "completed"])] == ["s4", "s2", "s0"]
    assert store.list_sessions("q", states=["running"]) == []
    with pytest.raises(PerdureError, match="unknown session"):
        store.list_sessions(before="nobody")


def test_alive_and_due(store: Store) -> None:
    put(store, session("a", 3, wake_at_us=20), session("b", 2, wake_at_us=10), session("c", 1, ended_us=5))
    assert [s.session_id for s in store.alive_sessions()] == ["b", "a"]
    assert store.due_timers(9) == []
    assert store.due_timers(20) == [("b", 10), ("a", 20)]
    assert store.due_timers(20, limit=1) == [("b", 10)]
    assert store.next_wake_us() == 10
    store.apply(Mutation(lambda tx: tx.update_session("b", SessionUpdate(wake_at_us=None))))
    assert store.next_wake_us() == 20


def test_a_signal_is_given_to_user_code_once(store: Store) -> None:
    put(store, session("s"), session("t"))

    def send(name: str) -> Mutation[int]:
        return Mutation(lambda tx: tx.add_signal("s", name, b"1", 4))

    assert [store.apply(send("x")), store.apply(send("y"))] == [Done(1), Done(2)]
    assert store.signals("s") == [SignalRow(1, "x", b"1", 4), SignalRow(2, "y", b"1", 4)]
    assert store.signals("t") == []
    assert store.apply(Append("s", 0, 1, [b"resolved"], consumes=1)) == Done(1)
    assert [row.n for row in store.signals("s")] == [2]
    with pytest.raises(ValueError, match="taken already"):
        store.apply(Append("s", 0, 2, [b"again"], consumes=1))
    assert store.entries("s") == [b"resolved"]
    assert store.apply(send("z")) == Done(3)
    with pytest.raises(PerdureError, match="unknown session"):
        store.apply(Mutation(lambda tx: tx.add_signal("ghost", "x", b"1", 4)))


def test_a_fork_shares_the_beginning(store: Store) -> None:
    put(store, session("s"))
    store.apply(Append("s", 0, 1, [b"1", b"2", b"3"]))

    def fork(tx: Transaction) -> None:
        tx.insert_session(session("f", forked_from="s"))
        tx.copy_entries("s", "f", 2)

    store.apply(Mutation(fork))
    assert store.entries("f") == [b"1", b"2"]
    store.apply(Append("f", 0, 3, [b"other"]))
    assert store.entries("s") == [b"1", b"2", b"3"]


def test_a_deleted_session_leaves_nothing(store: Store) -> None:
    put(store, session("s"), session("t"))
    for name in "st":
        store.apply(Append(name, 0, 1, [b"1"], [LogRow(0, 0, b"l")]))
    store.apply(Mutation(lambda tx: tx.add_signal("s", "x", b"1", 4)))
    store.apply(Mutation(lambda tx: tx.delete_session("s")))
    assert (store.load_session("s"), store.entries("s"), store.logs("s"), store.signals("s")) == (None, [], [], [])
    assert store.entries("t") == [b"1"]


def test_deployments_drain_while_their_sessions_live(store: Store) -> None:
    build = Build("b" * 64, 10, 1, [{"name": "main"}], {"name": "p"})

    def deploy(name: str, created_us: int) -> Mutation[None]:
        def write(tx: Transaction) -> None:
            tx.put_project("p", 1)
            tx.put_build(build)
            tx.activate(Deployment(name, "p", build.digest, created_us, {"A": "1"}, {}))

        return Mutation(write)

    store.apply(deploy("d1", 1))
    assert store.active_deployment("p") == Deployment("d1", "p", build.digest, 1, {"A": "1"}, {})
    assert (store.build(build.digest), store.build("c")) == (build, None)
    put(store, session("s"))
    store.apply(deploy("d2", 2))
    store.apply(deploy("d3", 3))
    assert [(d.deployment_id, d.state) for d in store.deployments("p")] == [
        ("d3", "active"),
        ("d2", "inactive"),
        ("d1", "draining"),
    ]
    assert store.apply(Mutation(lambda tx: tx.retire_deployments())) == Done(0)
    store.apply(Append("s", 0, update=SessionUpdate(state="completed", ended_us=9)))
    assert store.apply(Mutation(lambda tx: tx.retire_deployments())) == Done(1)
    assert store.deployment("d1").state == "inactive"  # type: ignore[union-attr]
    assert store.projects() == ["p"]
    assert store.active_deployment("q") is None


def test_a_mutation_that_fails_is_undone_alone(store: Store) -> None:
    def half(tx: Transaction) -> None:
        tx.insert_session(session("half"))
        raise RuntimeError("no")

    async def scenario() -> list[object]:
        good = store.commit(Mutation(lambda tx: tx.insert_session(session("good"))))
        bad = store.commit(Mutation(half))
        late = store.commit(Append("good", 0, 1, [b"e"]))
        return await asyncio.gather(good, bad, late, return_exceptions=True)

    first, second, third = asyncio.run(scenario())
    assert (first, third) == (Done(True), Done(1))
    assert isinstance(second, RuntimeError)
    assert [s.session_id for s in store.list_sessions()] == ["good"]


def test_one_impossible_item_does_not_spoil_its_group(store: Store) -> None:
    put(store, session("s"), session("t"))
    results: list[object] = []

    async def scenario() -> None:
        for item in (
            Append("s", 0, 1, [b"e"]),
            Append("t", 0, 1, [2**80]),  # type: ignore[list-item]  # SQLite has no such integer
            Append("s", 0, 2, [b"f"]),
        ):
            store.submit(item, results.append)
        await store.commit(Append("s", 0, 3, [b"g"]))

    asyncio.run(scenario())
    assert [type(result) for result in results] == [Done, Failed, Done]
    assert (store.entries("s"), store.entries("t")) == ([b"e", b"f", b"g"], [])


def test_closing_writes_what_still_lingers(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    put(store, session("s"))
    results: list[object] = []

    async def scenario() -> None:
        store.submit(Append("s", 0, 1, [b"e"], lazy=True), results.append)
        store.close()

    asyncio.run(scenario())
    assert results == [Done(1)]
    again = Store.open(tmp_path)
    assert again.entries("s") == [b"e"]
    again.close()


def test_readers_in_other_threads_see_what_is_durable(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    put(store, session("s"))

    async def scenario() -> None:
        for n in range(1, 101):
            await store.commit(Append("s", 0, n, [b"x"]))
            assert len(await asyncio.to_thread(store.entries, "s")) == n

    asyncio.run(scenario())
    store.close()


def test_the_schema_keeps_its_identity_and_start_needs_neither_sqlalchemy_nor_alembic(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from perdure_server.store import Store;"
        "store = Store.open(Path(sys.argv[1])); print(store.coordinator_id); store.close();"
        "print([name for name in ('sqlalchemy', 'alembic') if name in sys.modules])"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    (output,) = outputs
    assert output.splitlines()[1] == "[]"


def test_migrations_lead_to_the_same_schema_as_a_new_database(tmp_path: Path) -> None:
    from perdure_server.store.schema.migrate import upgrade

    upgrade(f"sqlite:///{tmp_path}/migrated.db")
    Store.open(tmp_path).close()

    def shape(name: str) -> dict[str, object]:
        with sqlite3.connect(tmp_path / name) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found: dict[str, object] = {
                f"{kind} {table}": connection.execute(f"SELECT * FROM pragma_{kind}('{table}')").fetchall()
                for table in tables
                for kind in ("table_info", "foreign_key_list")
            }
            listing = (
                "SELECT name, tbl_name, replace(sql, '\n', '') FROM sqlite_master WHERE type = 'index' ORDER BY name"
            )
            found["indexes"] = connection.execute(listing).fetchall()
            found["options"] = connection.execute("SELECT name, wr FROM pragma_table_list ORDER BY name").fetchall()
            found["version"] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            return found

    assert shape("migrated.db") == shape("perdure.db")


def test_the_generated_statements_are_fresh() -> None:
    from perdure_server.store.schema.generate import FOLDER, render

    for module, text in render().items():
        made = (FOLDER / f"{module}.py").read_text()
        assert made == text, f"{module}: run python -m perdure_server.store.schema.generate"


def test_an_older_schema_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "perdure.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    asked: list[str] = []
    monkeypatch.setattr("perdure_server.store.schema.migrate.upgrade", asked.append)
    Store.open(tmp_path).close()
    assert asked == [f"sqlite:///{tmp_path}/perdure.db"]


def test_the_first_schema_is_migrated_with_what_it_holds(tmp_path: Path) -> None:
    from perdure_server.store.schema.migrate import upgrade

    upgrade(f"sqlite:///{tmp_path}/perdure.db", "0001")
    with sqlite3.connect(tmp_path / "perdure.db") as connection:
        connection.execute("INSERT INTO meta VALUES ('coordinator_id', 'the old one')")
    store = Store.open(tmp_path)
    assert store.coordinator_id == "the old one"
    store.close()
    with sqlite3.connect(tmp_path / "perdure.db") as connection:
        assert connection.execute("SELECT count(*) FROM vars").fetchall() == [(0,)]


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "perdure.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for read_only in (False, True):
        with pytest.raises(PerdureError) as caught:
            Store.open(tmp_path, read_only=read_only)
        assert caught.value.code == "P0210"
    HomeLock(tmp_path).release()


def test_reading_needs_no_lock_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(PerdureError) as caught:
        Store.open(tmp_path, read_only=True)
    assert caught.value.code == "P0110"
    owner = Store.open(tmp_path)
    put(owner, session("s"))
    reader = Store.open(tmp_path, read_only=True)
    assert reader.load_session("s") == owner.load_session("s")
    with pytest.raises(PerdureError):
        reader.apply(Mutation(lambda tx: tx.delete_session("s")))
    reader.close()
    owner.close()


def test_the_second_coordinator_is_told_who_has_the_home(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from perdure_server.store import Store;"
        "store = Store.open(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "open\n"
    with pytest.raises(PerdureError) as caught:
        Store.open(tmp_path)
    assert caught.value.code == "P0202"
    assert f"process {first.pid} on " in caught.value.message
    first.kill()
    first.communicate()
    Store.open(tmp_path).close()


def test_keys_are_made_once_kept_private_and_differ_by_session(tmp_path: Path) -> None:
    keys = SessionKeys.of(tmp_path)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert SessionKeys.of(tmp_path).session_key("s") == keys.session_key("s") != keys.session_key("t")
    assert len(keys.session_key("s")) == 32
    assert SessionKeys.random().session_key("s") != keys.session_key("s")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(PerdureError) as caught:
        SessionKeys.of(tmp_path)
    assert caught.value.code == "P0209"
