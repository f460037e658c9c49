"""Who dies with whom, and what signals mean inside."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from inside import Inside, inside
from perdure_proto.v1 import runner_pb2 as runner


async def test_signals_mean_what_they_mean_everywhere(tmp_path: Path, namespaces: str) -> None:
    """As the first process of its namespace, it would ignore all of them."""
    async with inside(tmp_path, namespaces) as here:
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            ended = await here.end(here.start(f"os.kill(os.getpid(), {int(number)})\nreturn 'alive'"))
            assert ended.lost.exit_code == -number
        ended = await here.end(here.start("signal.raise_signal(signal.SIGABRT)"))
        assert ended.lost.exit_code == -signal.SIGABRT


async def test_children_are_the_runner_s_and_orphans_are_reaped(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        seen = await here.see("""
            pid = os.fork()
            if pid == 0:
                os.fork()  # both are gone before anybody waits for the inner one
                os._exit(7)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            nobody = attempt(os.wait)
            while sorted(name for name in os.listdir("/proc") if name.isdigit()) != ["1", "2"]:
                os.sched_yield()
            return [code, nobody]
        """)
    assert seen == [7, "ECHILD"]


async def test_what_a_runner_leaves_behind_dies_with_it(tmp_path: Path, namespaces: str) -> None:
    body = """
        for how in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(how, signal.SIG_IGN)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            time.sleep(1000)
        print("up", flush=True)
        time.sleep(1000)
    """
    async with inside(tmp_path, namespaces) as here:
        session = here.start(body)
        await here.coordinator.next("attached")
        below = await _below(here, session, 2)
        here.coordinator.stop(runner.STOP_KIND_KILL, session_id=session)
        await here.end(session)
        assert not any(map(_alive, below)), "the session is lost only when nothing of it is left"


async def test_everything_dies_with_the_zygote_and_with_the_host(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        session = here.start("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)")
        await here.coordinator.next("attached")
        pid = await here.pid(session)
        (zygote,) = here.host._backend.zygotes  # type: ignore[attr-defined]
        os.kill(zygote.pid, signal.SIGKILL)
        ended = await here.end(session)
        assert not ended.lost.fatal
        await _gone(pid)
        again = here.start("time.sleep(1000)")
        await here.coordinator.next("attached")
        pid = await here.pid(again)
    await _gone(pid)


async def _below(here: Inside, session: str, count: int) -> list[int]:
    """Processes of the session on this machine, once there are so many."""
    pid = await here.pid(session)
    mine = os.readlink(f"/proc/{pid}/ns/pid")
    async with asyncio.timeout(60):
        while True:
            found = [int(name) for name in os.listdir("/proc") if name.isdigit() and _namespace(name) == mine]
            if len(found) > count:  # and the first one
                return found
            await asyncio.sleep(0.005)


def _namespace(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists()


async def _gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while _alive(pid):
            await asyncio.sleep(0.002)
