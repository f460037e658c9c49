"""What the machine itself can do: the operations that no figure can do without, each measured bare."""

import gc
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from perdure_runner.child import zygote
from perdure_runner.frames import Stream, encode

from bench.place import Bench, Samples, pss_kib, turns

_RECORD = {"t": "rec", "no": 1, "sync": 1, "e": {"lane": "main", "ord": 1, "kind": 3, "fn": "main.one", "n": 1}}
_ACKNOWLEDGEMENT = encode({"t": "ack", "no": 1})
_ROW_BYTES = 200  # of an entry of a trivial activity


def measure(bench: Bench) -> Samples:
    """All floors; several runs of each."""
    runs = 3 if bench.quick else 5
    count = 500 if bench.quick else 1500
    return {
        "stream_round_trip_us": _stream_round_trips(bench, runs, count),
        "frame_round_trip_us": _frame_round_trips(runs, 4 * count),
        "commit_us": _commits(bench.folder("floors"), runs, count),
        **_forks(runs),
        "program_start_ms": [_program_start_ms() for _ in range(runs)],
        "history_entry_us": _history_entries(bench.folder("floors"), runs),
        "call_ns": _calls(runs),
    }


def _timed(count: int, work: Callable[[], object]) -> float:
    """Microseconds of one of `count` calls of `work`, or of as many as fit into a second."""
    began = time.perf_counter()
    done = 0
    for _ in turns(count, 1.0):
        work()
        done += 1
    return (time.perf_counter() - began) / done * 1e6


def _stream_round_trips(bench: Bench, runs: int, count: int) -> list[float]:
    """A message there and back on one bidirectional grpc.aio stream between two processes, on a Unix socket."""
    address = f"unix:{bench.folder('floors') / 'pong.sock'}"
    command = [sys.executable, "-m", "bench.pingpong", "serve", address]
    with bench.process(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it listens
        command = [sys.executable, "-m", "bench.pingpong", "measure", address, str(runs), str(count)]
        said = subprocess.run(command, check=True, capture_output=True, timeout=60, text=True)
    return [float(number) for number in json.loads(said.stdout)]


@contextmanager
def _forked(child: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """A fork that runs `child` with one end of a socketpair; gives the other end."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            child(theirs)
        finally:
            os._exit(0)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _frame_round_trips(runs: int, count: int) -> list[float]:
    """A runner's record to another process and an acknowledgement back, as frames on a socketpair."""

    def answer(sock: socket.socket) -> None:
        stream = Stream(sock)
        while True:
            stream.recv()
            stream.write(_ACKNOWLEDGEMENT)

    with _forked(answer) as sock:
        stream = Stream(sock)

        def there_and_back() -> None:
            stream.send(_RECORD, b"1")
            stream.recv()

        return [_timed(count, there_and_back) for _ in range(runs)]


def _commits(folder: Path, runs: int, count: int) -> list[float]:
    """A transaction of one row in SQLite: WAL, synchronous=FULL, on the file system of the homes."""
    connection = sqlite3.connect(folder / "commits.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB)")
    body = bytes(_ROW_BYTES)

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO entry (body) VALUES (?)", (body,))
        connection.execute("COMMIT")

    try:
        return [_timed(count, commit) for _ in range(runs)]
    finally:
        connection.close()


def _forks(runs: int) -> Samples:
    """A fork of a process that has imported what a zygote has: until its first byte (ms), and what it adds (KiB)."""

    def be_zygote(sock: socket.socket) -> None:
        zygote.preload()
        gc.collect()
        gc.freeze()
        took = [[_fork_ms() for _ in range(20)] for _ in range(runs)]
        sock.sendall(json.dumps([took, [_fork_kib() for _ in range(runs)]]).encode() + b"\n")

    with _forked(be_zygote) as sock, sock.makefile("rb") as answer:
        took, kept = json.loads(answer.readline())
    return {"fork_ms": [statistics.median(run) for run in took], "fork_kib": kept}


def _fork_ms() -> float:
    began = time.perf_counter()
    with _forked(_report) as child:
        child.recv(4)
        return (time.perf_counter() - began) * 1e3


def _fork_kib(count: int = 20) -> float:
    """Memory that each of `count` forks adds to that of their parent."""
    with ExitStack() as forks:
        before = pss_kib(os.getpid())
        socks = [forks.enter_context(_forked(_report)) for _ in range(count)]
        pids = [int.from_bytes(sock.recv(4), "big") for sock in socks]
        return (sum(map(pss_kib, (os.getpid(), *pids))) - before) / count


def _report(sock: socket.socket) -> None:
    """Say who we are, and stay until the other end is closed."""
    sock.send(os.getpid().to_bytes(4, "big"))
    sock.recv(1)


def _program_start_ms() -> float:
    """An interpreter started from nothing until it has imported gRPC and the messages."""
    began = time.perf_counter()
    code = "import grpc.aio, perdure_proto.v1.runner_pb2_grpc"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    return (time.perf_counter() - began) * 1e3


def _history_entries(folder: Path, runs: int, count: int = 10_000) -> list[float]:
    """A journal entry read from SQLite, made to frames, and parsed again: what replay cannot do without."""
    connection = sqlite3.connect(folder / "history.db")
    connection.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, ord INT, fn TEXT, dig BLOB, file TEXT, body BLOB)")
    rows = [(seq, seq // 2, "main.one", bytes(16), "main.py", b"1") for seq in range(count)]
    connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()

    def read() -> None:
        entries = [
            {"seq": seq, "ord": ordinal, "fn": function, "dig": digest.hex(), "file": file, "n": len(body)}
            for seq, ordinal, function, digest, file, body in connection.execute("SELECT * FROM entry ORDER BY seq")
        ]
        frame = encode({"t": "hist", "e": entries, "last": True}, b"1" * len(entries))
        for entry in json.loads(frame[8 : -len(entries)])["e"]:
            json.loads(b"1"[: entry["n"]])

    try:
        return [_timed(1, read) / count for _ in range(runs)]
    finally:
        connection.close()


def _calls(runs: int, count: int = 1_000_000) -> list[float]:
    """A call of an empty function in plain Python."""

    def nothing() -> None:
        pass

    def empty(numbers: range) -> float:
        began = time.perf_counter()
        for _ in numbers:
            pass
        return time.perf_counter() - began

    def calling(numbers: range) -> float:
        began = time.perf_counter()
        for _ in numbers:
            nothing()
        return time.perf_counter() - began

    numbers = range(count)
    return [(calling(numbers) - empty(numbers)) / count * 1e9 for _ in range(runs)]
