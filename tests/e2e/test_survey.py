"""examples/survey: twenty calls at once from tasks, twenty from threads, and live objects across a sleep."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from terminal import PATIENCE_S, Terminal

SURVEY = Path(__file__).parent.parent.parent / "examples" / "survey"
SHOPS = 20


class Shop(BaseHTTPRequestHandler):
    server: Shops

    def do_GET(self) -> None:
        _, number, what = self.path.split("/")
        self.server.asked[what].wait(PATIENCE_S)
        self._answer({"shop": int(number), what: 111 + int(number)})

    def do_POST(self) -> None:
        self._answer({"thanks_for": len(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))})

    def _answer(self, document: dict[str, int]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: object) -> None:
        pass


class Shops(ThreadingHTTPServer):
    """They answer when all of them have been asked: of calls that did not overlap, none would come to its end."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Shop)
        self.asked = defaultdict[str, threading.Barrier](lambda: threading.Barrier(SHOPS))


@pytest.fixture(name="shops")
def shops_fixture() -> Iterator[str]:
    """Their URL."""
    with Shops() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def most_at_once(calls: list[dict[str, Any]]) -> int:
    """How many of these calls were under way at the same moment, at most."""
    begun = [datetime.fromisoformat(call["started_at"]) for call in calls]
    ended = [at + timedelta(milliseconds=call["duration_ms"]) for at, call in zip(begun, calls, strict=True)]
    return max(sum(a <= at < b for a, b in zip(begun, ended, strict=True)) for at in begun)


@pytest.mark.parametrize("function", ["httpx.AsyncClient.get", "requests.api.get"])
def test_calls_of_tasks_and_of_threads_overlap(terminal: Terminal, shops: str, function: str) -> None:
    document = terminal.run("run", str(SURVEY), "--event", json.dumps({"shops": shops}), "--json").document
    assert (document["state"], document["result"]["offers"]) == ("completed", SHOPS)
    calls = [call for call in document["activities"] if call["function"] == function]
    assert len(calls) == len({call["lane"] for call in calls}) == SHOPS
    assert most_at_once(calls) > 10


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_survey_survives_a_crash_after_every_entry(terminal: Terminal) -> None:
    """With fewer shops: `make check` has them all, and each is two entries more of the same kind."""
    for name in ("main.py", "shops.py"):
        text = (SURVEY / name).read_text()
        assert (name == "main.py") == ("SHOPS = range(20)\n" in text)
        terminal.write(f"survey/{name}", text.replace("SHOPS = range(20)\n", "SHOPS = range(4)\n"))
    command = [sys.executable, "-m", "perdure_server", "check", str(terminal.folder / "survey"), "--jobs", "4"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=850)
    assert checked.returncode == 0, checked.stdout + checked.stderr
