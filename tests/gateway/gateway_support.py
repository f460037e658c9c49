"""A real `perdure serve --http`: its two processes, HTTP to it, and what is in its journal and its inbox."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from perdure_server.store import EventRow, Store

PATIENCE_S = 60.0
"""Longest wait for anything: generous, because a loaded machine is no reason to fail."""
PROJECT = "p"
MANIFEST = """\
name: p
vars:
  KEY: {secret: true}
triggers:
  in: {webhook: {path: in, dedup_header: X-Id, cors: ["https://a.example"], max_body: 2MiB}}
  signed: {webhook: {path: signed, signature: {kind: github, secret: KEY}}}
  post: {webhook: {path: post, methods: [POST]}}
  ask: {webhook: {path: ask, timeout: 50s}, call: main.py:ask, sync: true}
"""
MAIN = """\
import time

import perdure


def ask(event):
    data = event.data
    if "wait" in (data["body"]["json"] or {}):
        perdure.sleep(data["body"]["json"]["wait"])
    told = {"url": data["raw_url"], "headers": data["headers"], "from": event.memo["remote_addr"]}
    perdure.http_outcome(200, json=told | {"size": len(data["body"]["bytes"])})
"""


def until(found: Callable[[], Any], what: str = "") -> Any:
    """What `found` gives once it is something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (it := found()):
        assert time.monotonic() < deadline, what or "what was waited for did not come"
        time.sleep(0.01)
    return it


def loopback() -> str:
    """An address of this machine that nobody else uses: its ports stay free between one server and the next."""
    return f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"


class Server:
    """`perdure serve` on a home; `gateway` is the process that was started, `coordinator()` its child."""

    def __init__(self, home: Path, *options: str, http: str = "") -> None:
        at = f"{loopback()}:0"
        self.home = home
        self.options = ("--grpc", at, *options)
        self.http = http or at
        self.log = home.with_name(f"{home.name}.log")
        self.gateway: subprocess.Popen[bytes]
        self.url = ""

    def start(self, *, wait: bool = True, **more: Any) -> None:
        before = self._told().get("pid", 0)  # of one that was killed
        command = [sys.executable, "-m", "perdure_server", "serve", "--home", str(self.home), "--http", self.http]
        command += ["--isolation", "own", *self.options]
        with self.log.open("ab") as log:
            self.gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, stdout=log, **more)
        if wait:
            self.ready(before)

    def ready(self, *others: int) -> None:
        """Until there is a coordinator, and none of these."""
        known = {0, *others}
        until(lambda: self._told().get("pid", 0) not in known or self.gateway.poll() is not None, "no server")
        assert self.gateway.poll() is None, self.log.read_text()
        told = self._told()
        self.http = told["http"]
        self.url = told["url"]
        self.grpc = told["grpc"]

    def _told(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((self.home / "endpoint.json").read_text())
        except FileNotFoundError:
            return {}
        return told

    def coordinator(self) -> int:
        return int(self._told()["pid"])

    def kill_coordinator(self) -> int:
        """With SIGKILL; returns at once, with its pid."""
        pid = self.coordinator()
        os.kill(pid, signal.SIGKILL)
        return pid

    def restarted(self) -> None:
        """After `kill -9` of the coordinator, until the next is there."""
        self.ready(self.kill_coordinator())

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The coordinator does nothing meanwhile."""
        pid = self.coordinator()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def without_coordinator(self) -> Iterator[None]:
        """There is none meanwhile: those that are started find the home in use, and end. The gateway may be killed.

        It is stopped until the lock is ours: it would start the next one at once, which would have the lock before us
        if this process were slow.
        """
        pid = self.coordinator()
        with (self.home / "lock").open("r+b") as held:
            self.gateway.send_signal(signal.SIGSTOP)
            try:
                os.kill(pid, signal.SIGKILL)
                until(lambda: _locked(held))
            finally:
                self.gateway.send_signal(signal.SIGCONT)
            yield
        if self.gateway.poll() is None:
            self.ready(pid)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        if self.gateway.poll() is None:
            self.gateway.send_signal(number)
        return self.gateway.wait(PATIENCE_S)

    def kill(self) -> None:
        """Both processes, as far as they are there."""
        if self.gateway.poll() is None:
            self.gateway.kill()
            self.gateway.wait(PATIENCE_S)

    def perdure(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        command = [sys.executable, "-m", "perdure_server", *arguments, "--home", str(self.home)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout

    def deploy(self, manifest: str = MANIFEST, project: str = PROJECT, main: str = MAIN) -> None:
        folder = self.home.with_name(f"code-{project}")
        folder.mkdir(exist_ok=True)
        (folder / "perdure.yaml").write_text(manifest)
        (folder / "main.py").write_text(main)
        self.perdure("deploy", str(folder), "--project", project)
        if "KEY" in manifest:
            self.perdure("vars", "set", "KEY", "--secret", "--project", project, stdin="secret-of-p")
        self.known(project)

    def known(self, project: str = PROJECT) -> None:
        """Until the gateway knows what receives something in a project, as it is now.

        It was told that this has changed before whoever changed it was, and asks: a coordinator that is killed before
        it answers leaves the gateway to wait for the next one.
        """
        url = f"{self.url}/webhooks/{project}/nothing-is-here"
        assert httpx.get(url, verify=False, timeout=PATIENCE_S).status_code == 404

    def events(self, project: str = PROJECT) -> list[EventRow]:
        """All, in the order in which they came."""
        store = Store.open(self.home, read_only=True)
        try:
            found: list[EventRow] = []
            before = 0
            while page := store.events(project, limit=1_000, before_seq=before):
                found += page
                before = page[-1].seq
            found = [store.event(each.event_id) or each for each in found]  # with its data
        finally:
            store.close()
        return found[::-1]

    def bodies(self, project: str = PROJECT) -> list[Any]:
        """What was sent, of all events."""
        return [json.loads(row.data)["body"]["text"] for row in self.events(project)]

    def in_inbox(self) -> int:
        with closing(sqlite3.connect(self.home / "inbox.db")) as inbox:
            count: int = inbox.execute("SELECT count(*) FROM inbox").fetchone()[0]
        return count

    def delivered(self) -> None:
        """Until nothing is left in the inbox."""
        until(lambda: not self.in_inbox(), "the inbox is not emptied")

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=PATIENCE_S, **more)

    def post(self, path: str = "in", body: str | bytes = b"", **headers: str) -> httpx.Response:
        with self.client() as client:
            return client.post(f"/webhooks/p/{path}", content=body, headers=headers)

    def token(self) -> str:
        told: str = self._told()["token"]
        return told

    def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token()}", **more.pop("headers", {})}
        with self.client() as client:
            return client.request(method, f"/api/v1{path}", headers=headers, **more)


def _locked(held: Any) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def served(home: Path, *options: str, **more: Any) -> Iterator[Server]:
    """One whose processes are gone at the end."""
    server = Server(home, *options, **more)
    try:
        yield server
    finally:
        server.kill()


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def descendants(pid: int) -> set[int]:
    """Of a process, itself included."""
    found = {pid}
    for child in children(pid):
        found |= descendants(child)
    return found


def children(pid: int) -> list[int]:
    """Of all threads of a process that are there when they are looked at."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found
