"""A session in the sandbox that waits gives memory back, and comes to no harm when it is asked to at any moment."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from host_support import PATIENT
from inside import Inside, inside
from perdure_runner.child import sharing

pytestmark = pytest.mark.skipif(not sharing.is_possible(), reason="not compiled, or another C library")


def own_kib(pid: int) -> int:
    """What a process has that is in no file, and nobody else's."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty"):
            return int(line.split()[1])
    raise AssertionError


SOILED = """
    for line in open("/proc/self/maps"):
        if "memfd:" in line and "rw-p" in line:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            for place in range(begin, end, 4096):
                ctypes.memset(place, ctypes.c_ubyte.from_address(place).value, 1)
    print(next(line.split()[1] for line in open("/proc/self/smaps_rollup") if line.startswith("Private_Dirty")))
    time.sleep(600)
"""


async def test_who_is_quiet_is_smaller_soon(tmp_path: Path, namespaces: str) -> None:
    """It has written to all of its zygote's pages, what was in them, and says how much it has before it is quiet."""
    async with inside(tmp_path, namespaces) as here:
        session = here.start(SOILED)
        pid = await here.pid(session)
        said = await here.coordinator.until(lambda message: bool(message.records.records))
        most = int(said.records.records[0].log.text)
        async with asyncio.timeout(60):
            while own_kib(pid) > most // 2:
                await asyncio.sleep(0.05)


async def test_who_is_asked_all_the_time_computes_the_same(tmp_path: Path, namespaces: str) -> None:
    body = """
        import hashlib, json, subprocess, threading, time
        from urllib.parse import quote
        digest = hashlib.sha256()
        for number in range(150):
            digest.update(json.dumps([[quote(chr(each))] * (number % 5) for each in range(60, 500)]).encode())
            digest.update(str(time.strptime(f"{number + 1900}-01-02", "%Y-%m-%d")).encode())
            time.sleep(0.001)
            if number % 15 == 0:
                digest.update(subprocess.check_output(["/bin/echo", str(number)]))
                one = threading.Thread(target=time.sleep, args=(0.002,))
                one.start()
                one.join()
        return digest.hexdigest()
    """
    async with inside(tmp_path, namespaces) as here:
        plain = await here.see(body)
        asked = 0
        while asked <= 50:
            session = here.start(body)
            process = here.host.sessions[session]._process
            ended = asyncio.ensure_future(here.end(session))
            while not ended.done():
                process.signal(signal.SIGURG, group=False)
                asked += 1
                await asyncio.sleep(0.002)
            assert (await ended).done.result.data.decode().strip('"') == plain


HANDLING = """
    seen = []
    signal.signal(signal.SIGURG, lambda *_: seen.append("ours"))
    signal.signal(signal.SIGUSR2, lambda *_: seen.append("the end"))
"""
WAITING = """
    print("ready")
    while not seen:
        time.sleep(0.01)
    return seen
"""


async def seen_by(here: Inside, session: str) -> list[str]:
    return list(json.loads((await here.end(session)).done.result.data))


async def test_a_handler_of_user_code_is_not_called_when_memory_is_asked_for(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        session = here.start(HANDLING + SOILED.replace("time.sleep(600)", WAITING.strip()))
        pid = await here.pid(session)
        said = await here.coordinator.until(lambda message: bool(message.records.records))
        process = here.host.sessions[session]._process
        async with asyncio.timeout(60):
            while session in here.host.sessions and own_kib(pid) > int(said.records.records[0].log.text) // 2:
                process.signal(signal.SIGURG, group=False)
                await asyncio.sleep(0.01)
        process.signal(signal.SIGUSR2, group=False)
        assert await seen_by(here, session) == ["the end"]


async def test_nobody_is_asked_who_has_nothing_to_give(
    tmp_path: Path, namespaces: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERDURE_PURE", "1")
    async with inside(tmp_path, namespaces) as here:
        session = here.start(HANDLING + WAITING)
        pid = await here.pid(session)
        await here.coordinator.until(lambda message: bool(message.records.records))
        async with asyncio.timeout(60):
            while not sharing.is_waiting(pid):
                await asyncio.sleep(0.001)
        process = here.host.sessions[session]._process
        for number in (signal.SIGURG, signal.SIGUSR2):
            process.signal(number, group=False)
        assert await seen_by(here, session) == ["the end"]


async def test_nobody_is_asked_in_bubblewrap(tmp_path: Path, bubblewrap: str) -> None:
    async with inside(tmp_path, bubblewrap, replace(PATIENT, quiet_s=0.001)) as here:
        told = "for number in range(30):\n        print(number)\n        time.sleep(0.02)\n    return seen\n"
        assert await here.see(HANDLING + "    " + told) == []
