"""One session without a host: `python -m bench.runner_session REQUEST ANSWER`, both pickled.

It is the process that a zygote forks, but its socket is `Wire`, which plays the host's part then and there: no other
process, no waiting and no disk, and the time in it is told apart from the runner's own.

REQUEST holds `start`, the fields of the first frame, and `rows`, the journal so far. ANSWER is what the handler
returned, and the journal's rows afterwards.
"""

import pickle
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perdure_runner import frames, marks
from perdure_runner.child import process

_cpu_ns = time.process_time_ns  # before it becomes a marker


class Wire:
    """A socket whose other end is here: it keeps the rows and acknowledges what it is asked for."""

    def __init__(self, start: dict[str, Any], rows: list[frames.Frame]) -> None:
        self.cpu_ns = 0
        self._before = rows
        self._data = bytearray()  # no objects: the garbage collector would look at them at the session's cost
        self.result: bytes | None = None
        """What the session returned, as JSON, once it has completed."""
        self._near, self._far = socket.socketpair()
        self._parser = frames.Parser()
        page = [{**row, "n": len(payload)} for row, payload in rows]
        history = frames.encode({"t": "hist", "e": page, "last": 1}, b"".join(payload for _, payload in rows))
        self._pending = frames.encode({"t": "start", **start}) + history
        self._far.sendall(b"!")  # readable
        self.sendall = self._timed(self._sendall)
        self.recv = self._timed(self._recv)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._near, name)

    def _timed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            began = _cpu_ns()
            try:
                return work(*args)
            finally:
                self.cpu_ns += _cpu_ns() - began

        return timed

    def _sendall(self, data: bytes) -> None:
        self._data += data
        for header, payload in self._parser.feed(data):
            if header.get("sync"):
                self._answer({"t": "ack", "no": header["no"] + header.get("n", 1) - 1})
            elif header["t"] == "done":
                self.result = payload if header["state"] == "completed" else None

    def rows(self) -> list[frames.Frame]:
        """The journal."""
        sent = marks.expanded(frames.Parser().feed(bytes(self._data)))
        return self._before + [(header["e"], payload) for header, payload in sent if header["t"] == "rec"]

    def _answer(self, header: frames.Header) -> None:
        if not self._pending:
            self._far.sendall(b"!")
        self._pending += frames.encode(header)

    def _recv(self, _size: int) -> bytes:
        self._near.recv(1)
        data, self._pending = self._pending, b""
        return data


_wires: list[Wire] = []


def own_ns() -> int:
    """CPU time of this process, but for the wire's. For the handler."""
    return _cpu_ns() - _wires[0].cpu_ns


def main(request: Path, answer: Path) -> int:
    """Run the session; gives its exit status."""
    asked = pickle.loads(request.read_bytes())
    wire = Wire(asked["start"], asked["rows"])
    _wires.append(wire)
    process.prepare()
    status = process.main(wire)  # type: ignore[arg-type] # as much of a socket as a runner needs
    answer.write_bytes(pickle.dumps((wire.result, wire.rows())))
    return status


if __name__ == "__main__":
    from bench import runner_session  # the one that the handler imports, not __main__

    sys.exit(runner_session.main(Path(sys.argv[1]), Path(sys.argv[2])))
