"""A disk that is full: nothing is promised that is not kept, and it goes on when there is room again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_support import Server, until

pytestmark = pytest.mark.slow

MIB = 1 << 20
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
ON_SMALL_DISK = 'mount -t tmpfs -o size=24m,mode=0700 disk "$1" && cp -a "$2"/. "$1" && shift 2 && exec "$@"'


class OnSmallDisk(Server):
    """One whose home, a copy of `home`, is a disk of its own: `home` is where it is seen from here."""

    def start(self, *, wait: bool = True, **more: Any) -> None:
        disk = self.home.with_name("disk")
        disk.mkdir()
        mount = [*NAMESPACE, "sh", "-c", ON_SMALL_DISK, "sh", str(disk), str(self.home)]
        serve = [sys.executable, "-m", "perdure_server", "serve", "--home", str(disk), "--http", self.http]
        with self.log.open("ab") as log:
            command = [*mount, *serve, "--isolation", "own"]
            self.gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, stdout=log, **more)
        self.home = Path(f"/proc/{self.gateway.pid}/root{disk}")
        if wait:
            self.ready()

    def fill(self) -> None:
        """To the last byte, as far as anybody has not got his share already."""
        with (self.home / "ballast").open("ab", buffering=0) as ballast:
            for size in (MIB, 4096, 1):
                try:
                    while True:
                        ballast.write(b"x" * size)
                except OSError:
                    pass

    def make_room(self) -> None:
        (self.home / "ballast").unlink()

    def ids(self) -> list[str]:
        """Of all events, in their order. SQLite would not find the files: it follows the link in the home's path."""
        found: list[str] = []
        before = "0"
        while page := self.api("GET", f"/events?project=p&limit=100&before_seq={before}").json().get("events"):
            found += [each["event_id"] for each in page]
            before = page[-1]["seq"]
        return found[::-1]


@pytest.fixture(name="server")
def server_fixture(tmp_path: Path) -> Iterator[OnSmallDisk]:
    try:
        subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "disk", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    first = Server(tmp_path / "home")
    first.start()
    try:
        first.deploy()
        first.end()
    finally:
        first.kill()
    shutil.rmtree(first.home / "run")
    server = OnSmallDisk(first.home)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def test_a_full_disk_is_said_and_what_was_answered_202_is_kept(server: OnSmallDisk) -> None:
    """Of the gateway's inbox, while there is no coordinator; and with one, whose journal is full as well."""
    told = []

    def send() -> int:
        answer = server.post(body=b"x" * 20_000)
        if answer.status_code == 202:
            told.append(answer.json()["event_id"])
        else:
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "P0211"), answer.text
            assert answer.headers["retry-after"]
        return answer.status_code

    def fill_and_recover() -> None:
        assert send() == 202
        server.fill()
        before = len(told)
        while send() == 202:  # what the logs of SQLite have got already is used up first
            assert len(told) < before + 1_000
        server.make_room()
        until(lambda: send() == 202)

    assert send() == 202  # from here on the gateway knows the webhook
    with server.without_coordinator():
        fill_and_recover()
    fill_and_recover()
    until(lambda: len(server.ids()) >= len(told))
    assert server.ids() == told
    server.fill()
    server.kill_coordinator()
    until(lambda: "cannot write" in server.log.read_text())
    server.make_room()
    until(lambda: send() == 202)
    until(lambda: server.ids() == told)
    assert [path.name for path in server.home.glob(".endpoint*")] == []
    assert "has a fault" not in server.log.read_text()
    assert server.end() == 0
