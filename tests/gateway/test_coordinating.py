"""The coordinator behind a gateway: what is done where none can be started."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from typing import Any

import pytest
from perdure_server.app.coordinating import CoordinatorProcess


async def test_where_no_process_can_be_had_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing of the try is left."""
    start = asyncio.create_subprocess_exec
    programs = iter(["raise SystemExit(3)", "", "pass"])
    descriptors: list[int] = []

    async def attach(sock: socket.socket) -> None:
        sock.close()

    async def begun(*_command: str, **_options: Any) -> asyncio.subprocess.Process:
        descriptors.append(len(os.listdir("/proc/self/fd")))
        if program := next(programs):
            return await start(sys.executable, "-c", program)
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", begun)
    with socket.socket() as listening:
        coordinator = CoordinatorProcess([], listening, "", attach, plain=True)
        assert await coordinator.run(lambda: True) == 0
    assert len(descriptors) == 3
    assert descriptors[1] == descriptors[2]
    assert next(programs, None) is None
