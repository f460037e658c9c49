"""The inbox: what it has room for, what it does on a full disk, and who may read it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from perdure_server.core.errors import PerdureError
from perdure_server.gateway import inbox as inboxes
from perdure_server.gateway.inbox import Inbox
from wire_support import event


@pytest.fixture(name="inbox")
async def inbox_fixture(tmp_path: Path) -> AsyncIterator[Inbox]:
    inbox = Inbox(tmp_path / "inbox.db")
    yield inbox
    await inbox.close()


def rows(inbox: Inbox) -> int:
    count: int = inbox._db.execute("SELECT count(*) FROM inbox").fetchone()[0]
    return count


async def test_its_files_are_for_their_owner_alone(inbox: Inbox, tmp_path: Path) -> None:
    await inbox.keep(event(event_id="e"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"inbox.db": 0o600, "inbox.db-wal": 0o600, "inbox.db-shm": 0o600}


async def test_one_project_may_have_half_of_it(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "EVENTS", 10)
    kept = [event(event_id=f"p{number}") for number in range(5)]
    await asyncio.gather(*(inbox.keep(each) for each in kept))
    with pytest.raises(PerdureError) as full:
        await inbox.keep(event(event_id="p5"))
    assert full.value.code == "P0207"
    for number in range(5):
        await inbox.keep(event(event_id=f"q{number}", project=f"q{number}"))
    with pytest.raises(PerdureError):
        await inbox.keep(event(event_id="r", project="r"))
    inbox.drop(kept[0])
    await inbox.keep(event(event_id="r", project="r"))


async def test_large_events_and_large_headers_fill_it(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "BYTES", 10_000)
    await inbox.keep(event(b"x" * 4_000, event_id="a"))
    with pytest.raises(PerdureError):
        await inbox.keep(event(b"x" * 4_000, event_id="b"))
    await inbox.keep(event(b"", project="q", memo={"m": "x" * 4_000}, event_id="c"))
    with pytest.raises(PerdureError):
        await inbox.keep(event(b"", project="q", memo={"m": "x" * 4_000}, event_id="d"))


async def test_it_reads_what_it_was_given(inbox: Inbox, tmp_path: Path) -> None:
    given = [event(f'"{n}"', event_id=f"e{n}", dedup="d", memo={"a": "é"}, created_us=7) for n in range(3)]
    for each in given:
        await inbox.keep(each)
    again = Inbox(tmp_path / "inbox.db")
    assert again.read() == [replace(each, promised=True) for each in given]
    assert again._bytes == inbox._bytes
    await again.close()


async def test_what_cannot_be_written_is_not_promised_and_what_cannot_be_deleted_is_deleted_later(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "_AGAIN_S", 0.01)
    first = event(b"x" * 50_000, event_id="first")
    await inbox.keep(first)
    commit, fails = inbox._commit, 0

    def full(*_: Any) -> None:
        nonlocal fails
        fails += 1
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(inbox, "_commit", full)
    with pytest.raises(PerdureError) as refusal:
        await inbox.keep(event(b"x" * 50_000, event_id="second"))
    assert refusal.value.code == "P0211"
    assert inbox._events == {"p": 1}
    inbox.drop(first)
    assert not inbox._events
    while fails < 4:
        await asyncio.sleep(0.01)
    assert rows(inbox) == 1
    monkeypatch.setattr(inbox, "_commit", commit)
    while rows(inbox):
        await asyncio.sleep(0.01)
    await inbox.keep(event(event_id="third"))
    assert rows(inbox) == 1


async def test_many_that_come_together_are_few_transactions(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, sizes = inbox._commit, []

    def counted(coming: Any, going: Any) -> None:
        sizes.append(len(coming))
        commit(coming, going)

    monkeypatch.setattr(inbox, "_commit", counted)
    await asyncio.gather(*(inbox.keep(event(event_id=f"e{number}")) for number in range(500)))
    assert sum(sizes) == 500
    assert len(sizes) <= 2
