"""The other end of a session's socket, in the session's own process: a journal that is a list.

It speaks docs/explanation/architecture.md ("The runner's conversation"): every record is durable when it is sent, and
every timer fires when its time has come.
"""

import json
import socket
import time

from perdure_runner import frames, marks

RESOLVED, FIRED = 6, 1  # numbers of journal.proto
_time = time.time
_sleep = time.sleep


def start(build, cache, entry, event):
    """The frame that begins a session."""
    return {
        "t": "start", "session": "s", "code": build, "cache": cache, "entry": entry, "event": json.dumps(event),
        "vars": {}, "rules": [], "limits": {}, "key": "00" * 32, "entries": 0, "durable": True, "replay_only": False,
        "seed": 0, "project": "transparency", "created_at": 0,
    }  # fmt: skip


class Host(socket.socket):
    """The child's end of a socketpair, which answers each frame as it is sent."""

    def __init__(self, start):
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        super().__init__(fileno=ours.detach())
        self._other = theirs
        self._parser = frames.Parser()
        self._rows = []
        self._start = start
        self._end = None

    def sendall(self, data, flags=0):
        durable = 0
        for header, payload in marks.expanded(self._parser.feed(bytes(data))):
            self._take(header, payload)
            if header["t"] == "rec":
                durable = header["no"]
        if durable:  # one word for all: what nobody reads yet must not fill the socket, for there is only this thread
            self._say({"t": "ack", "no": durable})

    def _take(self, header, payload):
        match header["t"]:
            case "hello":
                self._say(self._start)
                self._say({"t": "hist", "e": [], "last": True})
            case "rec":
                self._rows.append(header["e"])
            case "wait":
                self._resolve(min(map(self._row, header["waits"]), key=lambda row: row["fires"]))
            case "done":
                self._end = header, payload

    def _row(self, call):
        return next(row for row in reversed(self._rows) if [row["lane"], row["ord"]] == call)

    def _resolve(self, row):
        _sleep(max(0, row["fires"] / 1e6 - _time()))
        self._say({"t": "res", "e": {"lane": row["lane"], "ord": row["ord"], "kind": RESOLVED, "how": FIRED}})

    def _say(self, frame):
        self._other.sendall(frames.encode(frame))

    def result(self):
        """What the handler returned."""
        header, payload = self._end
        if header["state"] != "completed":
            raise RuntimeError(f"the session has {header['state']}: {header.get('err') or header.get('div')}")
        return json.loads(payload) | {"entries": len(self._rows)}
