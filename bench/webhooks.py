"""Webhooks by a clock, each sent until it is answered, while the coordinator is killed: `python -m bench.webhooks`.

Its gateway starts the coordinator again, and answers meanwhile. With --whole, the gateway is killed, too, and all of
the server is started again.

Requests are sent when their time comes, answered or not those before (an open loop: a slow answer does not slow the
senders). What counts as one answer's time is from its time to be sent to its answer, whatever went wrong in between.
Those that a death has touched are counted apart: what was under way when the coordinator died, and what was due before
the next one had answered all that had piled up meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from perdure_server.store import EventRow, SessionRecord, Store

from bench.place import PERDURE, ROOT, Bench, Samples, start

RATE: Final = 200
SECONDS: Final = 60.0
KILLS: Final = 2
PROJECT: Final = "bench"
FOLDER: Final = ROOT / "bench" / "hooks"
_CONNECTIONS: Final = 64
_AGAIN_S: Final = 0.05
_READY_S: Final = 60.0
_DRAIN_S: Final = 120.0
_PAGE: Final = 1_000


@dataclass(slots=True)
class Told:
    """One webhook: when it was due, when it was answered, and with which event."""

    due: float
    answered: float = 0.0
    event_id: str = ""
    attempts: int = 0


@dataclass(slots=True)
class Report:
    """What came of it. `outages`: of each death, when it was, and when the next coordinator was ready."""

    told: list[Told]
    seconds: float
    outages: list[tuple[float, float]] = field(default_factory=list)
    events: int = 0
    lost: int = 0
    twice: int = 0
    sessions: int = 0
    to_come: int = 0  # sessions whose turn had not come when it was counted: more wait for a host than may

    @property
    def rate(self) -> float:
        return len(self.told) / self.seconds

    def latencies_ms(self, *, calm: bool) -> list[float]:
        """Sorted. `calm`: only of those that no death has touched."""
        times = self.disturbances()
        chosen = [each for each in self.told if not (calm and any(_touched(each, *time) for time in times))]
        return sorted((each.answered - each.due) * 1e3 for each in chosen)

    def disturbances(self) -> list[tuple[float, float]]:
        """(from, to) of each death: until what had piled up was answered."""
        return [(dead, max(each.answered for each in self.told if each.due < ready)) for dead, ready in self.outages]


def _touched(told: Told, begin: float, end: float) -> bool:
    return told.due < end and told.answered > begin


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank; 0 where there are none."""
    return values[min(len(values) - 1, math.ceil(len(values) * share) - 1)] if values else 0.0


class Server:
    """A `perdure serve` on a home, which can be killed and started again on the same port."""

    def __init__(self, home: Path, log: IO[str], *, whole: bool = False) -> None:
        self.home = home
        self.port = 0
        self._whole = whole
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns at once. The home of one that was killed is taken over."""
        at = f"127.0.0.1:{self.port}"
        command = [*PERDURE, "serve", "--home", str(self.home), "--http", at]
        self._process = start(command, stdout=subprocess.DEVNULL, stderr=self._log)

    async def ready(self) -> None:
        """Until it answers. The first time, its port is kept."""
        async with asyncio.timeout(_READY_S):
            while not (self.home / "endpoint.json").exists():
                assert self._process is not None
                if self._process.poll() is not None:
                    raise RuntimeError(f"the server ended with {self._process.returncode}; see {self._log.name}")
                await asyncio.sleep(0.02)
        told = json.loads((self.home / "endpoint.json").read_text())
        self.port = int(told["http"].rpartition(":")[2])

    def kill(self) -> None:
        """The coordinator; the next one comes by itself, or is started here."""
        assert self._process is not None
        told = self.home / "endpoint.json"
        coordinator = int(json.loads(told.read_text())["pid"])
        told.unlink()
        if self._whole:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self.start()
        else:
            os.kill(coordinator, signal.SIGKILL)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


class Sender:
    """Keeps connections open, and sends one webhook on one of them until it is answered."""

    def __init__(self, server: Server, run: str) -> None:
        self._server = server
        self._run = run
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(_CONNECTIONS)

    async def send(self, number: int, told: Told) -> None:
        body = json.dumps({"n": number}).encode()
        head = (
            f"POST /webhooks/{PROJECT}/in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"X-Id: {self._run}-{number}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        async with self._room:
            while True:
                told.attempts += 1
                try:
                    status, answer = await asyncio.wait_for(self._once(head.encode() + body), 15)
                except (OSError, asyncio.IncompleteReadError, TimeoutError):
                    await asyncio.sleep(_AGAIN_S)
                    continue
                if status in {200, 202}:
                    told.answered, told.event_id = time.monotonic(), answer["event_id"]
                    return
                await asyncio.sleep(_AGAIN_S)

    async def _once(self, request: bytes) -> tuple[int, dict[str, str]]:
        reader, writer = self._kept() or await self._open()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:"))
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if "connection: close" in head.decode().lower():
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(lines[0].split()[1]), json.loads(body)

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """An open connection; servers close those on which nothing comes for a while."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._server.port)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def load(server: Server, rate: float, seconds: float, kills: int) -> Report:
    """Send `rate` a second for so long; kill the coordinator `kills` times meanwhile, each time start it again."""
    sender = Sender(server, f"{time.time_ns():x}")
    began = time.monotonic() + 0.2
    report = Report([Told(began + number / rate) for number in range(int(rate * seconds))], seconds)
    deaths = asyncio.create_task(_kill(server, report, [began + seconds * (n + 1) / (kills + 1) for n in range(kills)]))
    async with asyncio.TaskGroup() as group:
        for number, told in enumerate(report.told):
            if (pause := told.due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            group.create_task(sender.send(number, told))
    await deaths
    sender.close()
    return report


async def _kill(server: Server, report: Report, times: Sequence[float]) -> None:
    for at in times:
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        dead = time.monotonic()
        server.kill()
        await server.ready()
        report.outages.append((dead, time.monotonic()))


def count(report: Report, home: Path) -> None:
    """Ask the journal itself: of each webhook there is one event, and of each event one session, or one to come.

    Who is told an id is told its event's, but for a webhook that was sent again: ADR 18.
    """
    store = Store.open(home, read_only=True)
    try:
        events = list(_events(store))
        sessions = Counter(row.event_id for row in _sessions(store))
        waiting = {row.event_seq for row in store.pending_dispatches()}
    finally:
        store.close()
    report.events, report.sessions, report.to_come = len(events), sessions.total(), len(waiting)
    begun = {_number(row): row.event_id for row in events if sessions[row.event_id] or row.seq in waiting}
    report.lost = sum(
        number not in begun or (each.attempts == 1 and begun[number] != each.event_id)
        for number, each in enumerate(report.told)
    )
    report.twice = len(events) - len({_number(row) for row in events}) + sum(n - 1 for n in sessions.values())


def _number(event: EventRow) -> int:
    """Which of the webhooks it is of."""
    return int((event.dedup or "").rpartition("-")[2])


def _events(store: Store) -> Iterator[EventRow]:
    before_seq = 0
    while page := store.events(PROJECT, limit=_PAGE, before_seq=before_seq):
        yield from page
        before_seq = page[-1].seq


def _sessions(store: Store) -> Iterator[SessionRecord]:
    before = ""
    while page := store.list_sessions(PROJECT, limit=_PAGE, before=before):
        yield from page
        before = page[-1].session_id


@contextmanager
def served(home: Path, log: Path, *, whole: bool) -> Iterator[Server]:
    """A server on a fresh home, ended at last. Its own output goes to `log`."""
    home.mkdir(parents=True)
    with log.open("w") as opened:
        server = Server(home, opened, whole=whole)
        server.start()
        try:
            yield server
        finally:
            server.end()


async def run(
    work: Path, rate: float, seconds: float, kills: int, *, drain: bool = False, whole: bool = False
) -> Report:
    """All of it, in its own folder. `drain`: wait until every session has ended. `whole`: the gateway dies, too."""
    home = work / "home"
    with served(home, work / "server.log", whole=whole) as server:
        await server.ready()
        await asyncio.to_thread(_deploy, home)
        report = await load(server, rate, seconds, kills)
        if drain:
            await asyncio.to_thread(_drained, home)
        await asyncio.to_thread(_delivered, home)
    count(report, home)
    return report


def _deploy(home: Path) -> None:
    command = [*PERDURE, "deploy", str(FOLDER), "--project", PROJECT, "--home", str(home)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def _delivered(home: Path) -> None:
    """Returns when the coordinator has all that the gateway has promised. Raises TimeoutError."""
    deadline = time.monotonic() + _DRAIN_S
    with closing(sqlite3.connect(home / "inbox.db")) as inbox:
        while left := inbox.execute("SELECT count(*) FROM inbox").fetchone()[0]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} events are still in the inbox after {_DRAIN_S:g} s")
            time.sleep(0.2)


def _drained(home: Path) -> None:
    """Returns when no session is left alive. Raises TimeoutError."""
    store, deadline = Store.open(home, read_only=True), time.monotonic() + _DRAIN_S
    try:
        while alive := store.alive_sessions():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(alive)} sessions have not ended within {_DRAIN_S:g} s")
            time.sleep(0.5)
    finally:
        store.close()


def measure(bench: Bench) -> Samples:
    """For the table: shorter than `python -m bench.webhooks`, with as many deaths."""
    report = asyncio.run(run(bench.folder("webhooks"), RATE, 9.0 if bench.quick else 20.0, KILLS))
    times = report.latencies_ms(calm=False)
    return {
        "webhook_ms_p50": [percentile(times, 0.5)],
        "webhook_ms_p99": [percentile(times, 0.99)],
        "webhook_outage_s": [over - dead for dead, over in report.disturbances()],
        "webhooks_lost": [float(report.lost)],
        "webhooks_twice": [float(report.twice)],
    }


def describe(report: Report) -> str:
    calm, every = report.latencies_ms(calm=True), report.latencies_ms(calm=False)
    lines = [f"{len(report.told)} webhooks, {report.rate:.0f} a second"]
    for (dead, ready), (_, over) in zip(report.outages, report.disturbances(), strict=True):
        lines.append(f"a death: the next one ready after {ready - dead:.1f} s, all answered after {over - dead:.1f} s")
    for name, values in ("untouched by a death", calm), ("all", every):
        of = " ".join(f"p{share:g} {percentile(values, share / 100):.1f} ms" for share in (50, 90, 99, 99.9, 100))
        lines.append(f"{name} ({len(values)}): {of}")
    again = sum(each.attempts > 1 for each in report.told)
    lines.append(
        f"sent again: {again}; events: {report.events}; sessions: {report.sessions}, to come: {report.to_come}"
    )
    lines.append(f"lost: {report.lost}; twice: {report.twice}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    parser.add_argument("--rate", type=float, default=RATE, help="a second [%(default)s]")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="[%(default)s]")
    parser.add_argument("--kills", type=int, default=KILLS, help="of the coordinator meanwhile [%(default)s]")
    parser.add_argument("--whole", action="store_true", help="kill all of the server, and start it again")
    parser.add_argument("--drain", action="store_true", help="wait for the end of every session")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="webhooks-") as work:
        how = {"drain": options.drain, "whole": options.whole}
        report = asyncio.run(run(Path(work), options.rate, options.seconds, options.kills, **how))
        print(describe(report))
    return int(bool(report.lost or report.twice))


if __name__ == "__main__":
    sys.exit(main())
