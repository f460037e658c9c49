"""A gateway begins while the coordinator of the one before is still dying."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from perdure_server.app import gateway
from perdure_server.store.home import HomeLock


async def test_the_home_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_DYING_S", 60.0)
    with HomeLock(tmp_path):
        waiting = asyncio.create_task(gateway.let_go(tmp_path))
        await asyncio.sleep(3 * gateway._LOOK_S)
        assert not waiting.done()
    await waiting
    HomeLock(tmp_path).release()


async def test_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the coordinator says who has it."""
    monkeypatch.setattr(gateway, "_DYING_S", 0.1)
    with HomeLock(tmp_path):
        await gateway.let_go(tmp_path)
