"""The README's webhooks, in a fresh folder, with `perdure dev` and nothing else: as its reader would do it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

README = Path(__file__).parents[2] / "README.md"
FILE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATIENCE_S = 90.0


class Dev:
    """A `perdure dev`, and what it says."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "orders/said"  # as people do; it is in the folder that is watched
        with self._log.open("w") as opened:
            command = [
                sys.executable,
                "-m",
                "perdure_server",
                "dev",
                "orders",
                "--home",
                "home",
                "--http",
                "127.0.0.1:0",
            ]
            self.process = subprocess.Popen(command, cwd=folder, stdout=opened, stderr=subprocess.STDOUT)

    def said(self) -> str:
        return self._log.read_text()

    def until(self, condition: Callable[[str], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition(self.said()):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)


@pytest.fixture(name="dev")
def dev_fixture(tmp_path: Path) -> Iterator[Dev]:
    for name, text in FILE.findall(README.read_text()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    dev = Dev(tmp_path)
    try:
        yield dev
    finally:
        dev.process.send_signal(signal.SIGINT)
        dev.process.wait(PATIENCE_S)


def test_the_webhooks_of_the_readme(dev: Dev) -> None:
    dev.until(lambda said: "ready grpc=" in said)
    urls = dict(re.findall(r"webhook (\w+): (http://127\.0\.0\.1:\d+/webhooks/orders/\w+) -> ", dev.said()))
    assert set(urls) == {"order", "paid", "price"}
    begun = requests.post(urls["order"], json={"id": 7}, timeout=PATIENCE_S)
    assert begun.status_code == 202
    answer = requests.get(urls["price"], params={"n": 3}, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json(), answer.headers["x-shop"]) == (200, {"price": 37.5}, "perdure")
    # It may arrive before the session has subscribed, as anybody's may: it is sent until it was heard.
    deadline = time.monotonic() + PATIENCE_S
    while "order 7: paid by Ada" not in dev.said():
        assert requests.post(urls["paid"], json={"order": 7, "by": "Ada"}, timeout=PATIENCE_S).status_code == 202
        assert time.monotonic() < deadline, dev.said()
        time.sleep(0.3)
    assert dev.said().count("deployed orders") == 1
