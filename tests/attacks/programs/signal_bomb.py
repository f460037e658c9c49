"""Signals that nobody takes, to itself, as large as they may be."""

import perdure
from perdure import RequestRefused, _runtime
from probing import saw, verdict

LARGE = "x" * 1_000_000


def main(event):
    myself = perdure.session_id()
    for _ in range(400):
        try:
            _runtime.current.request("session.signal", {"session_id": myself, "name": "go", "payload": LARGE})
        except RequestRefused:
            return verdict([])
    return saw("400 signals of a megabyte wait")
