"""What runs on one node of a Ray cluster: an actor, and the host that it keeps as a process of its own.

The actor's process is Ray's, with Ray's threads and libraries in it; a host is started as a program, as it is beside a
server. Imported by Ray's workers; imports nothing of Ray itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

STEADY_S: Final = 30.0  # a host that ended sooner is not started again at once
PAUSE_S: Final = 5.0

_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True)
class Seat:
    """A host's place on a node: how it reaches its coordinator, and what it is called."""

    name: str
    cluster: str  # the coordinator's id
    coordinator: str = ""  # its address on this machine; empty: it is joined by `token`
    token: str = ""  # of an invitation for this name
    capacity: int = 64
    isolation: str = "auto"
    labels: dict[str, str] = field(default_factory=dict)


class HostOfNode:
    """The actor. Ray starts it again when it dies; it dies with its host, unless that was drained."""

    def __init__(self, seat: Seat) -> None:
        self._folder, self._lock = _take_folder(seat)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PERDURE_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "perdure_server.app.ray_node", str(os.getpid()), str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment,
            cwd=self._folder,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already; `wait` says how
            self._process.stdin.write(json.dumps(asdict(seat)))
            self._process.stdin.close()

    def wait(self) -> int:
        """Return when the host was drained: exit code 0. Any other end of it is the actor's, too."""
        began = time.monotonic()
        code = self._process.wait()
        if code != 0:
            if time.monotonic() - began < STEADY_S:
                time.sleep(PAUSE_S)  # it would end again
            os._exit(1)
        return code


def _take_folder(seat: Seat) -> tuple[Path, int]:
    """The host's state directory, locked; those that nobody has locked are of nodes that are gone, and are removed."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perdure" / "ray" / seat.cluster
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    mine = base / seat.name
    mine.mkdir(exist_ok=True)
    lock = _locked(mine)
    if lock is None:
        raise RuntimeError(f"{mine} is in use")  # the last actor's process has not gone yet; Ray tries again
    for other in base.iterdir():
        if other != mine and (theirs := _locked(other)) is not None:
            shutil.rmtree(other, ignore_errors=True)
            os.close(theirs)
    return mine, lock


def _locked(folder: Path) -> int | None:
    """An open, locked descriptor; None when somebody else has the lock, or the folder is gone."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


async def _be_host(seat: Seat, folder: Path) -> int:
    from perdure_runner.host.main import main

    from perdure_server.app.hosting import way_to

    way = await way_to(seat.coordinator or None, seat.token or None, folder, seat.name, "")
    return await main(
        way.address,
        folder,
        capacity=seat.capacity,
        labels=seat.labels,
        host_id=way.host_id,
        isolation=seat.isolation,
        dialler=way.dialler,
    )


def _main(parent: str, folder: str) -> int:
    """The host's process. The seat comes on stdin: everybody can read command lines."""
    from perdure_server.app.dying import die_with
    from perdure_server.core.errors import PerdureError

    die_with(int(parent))
    try:
        return asyncio.run(_be_host(Seat(**json.load(sys.stdin)), Path(folder)))
    except PerdureError as error:
        print(error.render(), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
