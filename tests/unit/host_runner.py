"""A stand-in for the child half: its `main` speaks the frames that the session's entry point asks for.

Runs in a process forked by a zygote. Standard library and what both halves of a runner have, only.
"""

import os
import signal
import socket
import sys
import time

from perdure_runner.frames import Stream


def main(sock: socket.socket) -> int:
    stream = Stream(sock)
    stream.send({"t": "hello", "v": 1})
    start, _ = stream.recv()
    history = 0
    while True:
        page, _ = stream.recv()
        history += len(page["e"])
        if page["last"]:
            break
    name, _, argument = start["entry"].partition(":")
    return int(globals()[name](stream, argument, start | {"history": history}) or 0)


def entry(ordinal: int, size: int) -> dict:
    return {
        "lane": "main", "ord": ordinal, "kind": 4, "fn": "time.time", "at": 1, "enc": 1, "n": size, "size": size,
    }  # fmt: skip


def echo(stream: Stream, count: str, start: dict) -> None:
    """`count` records, each after the acknowledgement of the one before."""
    stream.send({"t": "attached"})
    for number in range(1, int(count) + 1):
        stream.send({"t": "rec", "no": number, "sync": True, "e": entry(number, 2)}, b"42")
        acknowledged = 0
        while acknowledged < number:
            header, _ = stream.recv()
            acknowledged = header["no"]
    finish(stream, int(count) + 1)


def finish(stream: Stream, number: int, value: bytes = b"null") -> None:
    stream.send({"t": "done", "no": number, "state": "completed", "enc": 1, "pv": "None"}, value)


def burst(stream: Stream, argument: str, start: dict) -> None:
    """Many records at once, waiting for nobody: "count,bytes"."""
    count, size = map(int, argument.split(","))
    stream.send({"t": "attached"})
    for number in range(1, count + 1):
        stream.send({"t": "rec", "no": number, "sync": number == count, "e": entry(number, size)}, b"1" * size)
    finish(stream, count + 1)


def markers(stream: Stream, values: str, start: dict) -> None:
    """Markers in one frame that asks for their commit; `values`: a JSON list."""
    import json

    from perdure_runner import marks

    made = [json.dumps(value).encode() for value in json.loads(values)]
    count, head = len(made), json.dumps({"lane": "main", "fn": "time.time", "file": "a.py", "line": 3})
    digests = [bytes(16)] * count
    stream.send({"t": "attached"})
    numbers = range(1, count + 1)
    stream.write(
        marks.pack(1, [head], [0] * count, numbers, [1000] * count, numbers, digests, digests, made, sync=True)
    )
    acknowledged = 0
    while acknowledged < count:
        header, _ = stream.recv()
        acknowledged = header["no"]
    finish(stream, count + 1)


def lines(stream: Stream, argument: str, start: dict) -> None:
    """Lines of output, then one record: "count,characters"."""
    count, size = map(int, argument.split(","))
    stream.send({"t": "attached"})
    for number in range(1, count + 1):
        stream.send({"t": "log", "no": number, "o": 0, "i": number - 1, "s": 1, "at": 1, "x": "x" * size})
    stream.send({"t": "rec", "no": count + 1, "sync": True, "e": entry(1, 2)}, b"42")
    acknowledged = 0
    while acknowledged < count + 1:
        header, _ = stream.recv()
        acknowledged = header["no"]
    finish(stream, count + 2, str(acknowledged).encode())


def report(stream: Stream, _argument: str, start: dict) -> None:
    """What the process looks like from inside, as its result."""
    import json
    import resource

    stream.send({"t": "attached"})
    seen = {
        "start": {key: start[key] for key in start if key != "t"},
        "environment": dict(os.environ),
        "descriptors": sorted(
            int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")
        ),
        "group": os.getpgid(0) == os.getpid() != os.getsid(0),
        "stdin": sys.stdin.read(),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "hash": hash("perdure"),
        "version": list(sys.version_info[:2]),
        "ours": sorted(name for name in sys.modules if name.partition(".")[0] in {"grpc", "google", "perdure_proto"}),
        "parent": os.getppid(),
    }
    finish(stream, 1, json.dumps(seen).encode())


def allocate(stream: Stream, size: str, start: dict) -> None:
    """Take memory; the result is whether it could be had."""
    stream.send({"t": "attached"})
    try:
        bytearray(int(size))
        finish(stream, 1, b"true")
    except MemoryError:
        finish(stream, 1, b"false")


def wait(stream: Stream, _argument: str, start: dict) -> None:
    """Wait for a timer; go on when it is resolved, leave when it is suspended."""
    stream.send({"t": "attached"})
    stream.send({"t": "live"})
    waits = {"lane": "main", "ord": 1, "kind": 5, "fn": "time.sleep", "wk": 1, "fires": 5}
    stream.send({"t": "rec", "no": 1, "sync": True, "e": waits})
    stream.send({"t": "wait", "waits": [["main", 1]]})
    while True:
        header, _ = stream.recv()
        if header["t"] == "stop":
            stream.send({"t": "suspended"})
            return
        if header["t"] == "res":
            finish(stream, 2, str(header["e"]["how"]).encode())
            return


def stubborn(stream: Stream, _argument: str, start: dict) -> None:
    """Attach, ignore everything, start a grandchild, wait for ever."""
    if os.fork() == 0:
        signal.pause()
    stream.send({"t": "attached"})
    while True:
        signal.pause()


def polite(stream: Stream, _argument: str, start: dict) -> None:
    """End as stopped when the signal and the frame have come."""
    came = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: came.append(number))
    stream.send({"t": "attached"})
    header, _ = stream.recv()
    while not came:
        time.sleep(0.001)
    stream.send({"t": "done", "no": 1, "state": "stopped", "err": {"type": "Cancelled", "message": header["reason"]}})


def crash(stream: Stream, how: str, start: dict) -> int:
    """End without `done`: by an exit code, a signal, or an exception."""
    stream.send({"t": "attached"})
    os.write(2, b"something at C level\n")
    if how == "raise":
        raise RuntimeError("the stand-in broke")
    if how.startswith("-"):
        os.kill(os.getpid(), -int(how))
    return int(how)


def chatter(stream: Stream, size: str, start: dict) -> None:
    """Write much past the frames, then die."""
    stream.send({"t": "attached"})
    os.write(1, b"first words\n")
    left = int(size)
    while left > 0:
        left -= os.write(2, b"noise " * 1000)
    os.write(2, b"last words")
    os.kill(os.getpid(), signal.SIGSEGV)


def blurts(stream: Stream, argument: str, start: dict) -> int:
    """Write "text,count": the text and so many dots, past the frames; then end."""
    text, count = argument.rsplit(",", 1)
    stream.send({"t": "attached"})
    os.write(2, text.encode() + b"." * int(count))
    return 1


def closes(stream: Stream, _argument: str, start: dict) -> None:
    """Close the socket and live on."""
    stream.send({"t": "attached"})
    os.close(3)
    signal.pause()


def raw(stream: Stream, text: str, start: dict) -> None:
    """Send these frames (a JSON list of [header, payload text]) as they are, then wait to be killed."""
    import json

    for header, payload in json.loads(text):
        stream.send(header, payload.encode())
    signal.pause()


def garbage(stream: Stream, text: str, start: dict) -> None:
    """Send these bytes (hex), then wait to be killed."""
    stream.send({"t": "attached"})
    stream.write(bytes.fromhex(text))
    signal.pause()
