"""Code of a stranger's, run in a session of a real host; what it saw comes back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from host_support import PATIENT, FakeCoordinator, pid_of, tarball
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.config import HostConfig, HostPatience
from perdure_runner.host.host import Host

PRELUDE = """
import ctypes, errno, os, resource, signal, socket, subprocess, sys, threading, time

def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]

def reading(path):
    return attempt(lambda: open(path).read())

def writing(path):
    return attempt(lambda: open(path, "w").write("x"))

libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) >= 0:
        return "done"
    return errno.errorcode[ctypes.get_errno()]

def handler(event):
    import json
    return json.loads(json.dumps(look()))

def look():
"""


class Inside:
    """A host whose sessions run given code."""

    def __init__(self, host: Host, coordinator: FakeCoordinator) -> None:
        self.host = host
        self.coordinator = coordinator
        self._count = 0
        self._builds: dict[str, bytes] = {}  # by body: the same code is the same build

    def start(self, body: str, *, network: int = runner.NETWORK_MODE_NONE, **limits: Any) -> str:
        """Start a session whose handler has this body; its id."""
        if body not in self._builds:
            self._builds[body] = tarball(main__py=PRELUDE + textwrap.indent(textwrap.dedent(body), "    "))
        build = self._builds[body]
        digest = hashlib.sha256(build).hexdigest()
        self.coordinator.blobs[digest] = build
        self._count += 1
        asked = {"limits": runner.Limits(**limits), "network": runner.Network(mode=network)}
        session = f"s{self._count}"
        self.coordinator.start("main.py:handler", session_id=session, build=digest, durable=False, **asked)
        return session

    async def end(self, session: str) -> runner.FromHost:
        """Its last message, `done` or `lost`."""

        def last(message: runner.FromHost) -> bool:
            kind = message.WhichOneof("message")
            return kind in {"done", "lost"} and getattr(message, kind).session_id == session

        return await self.coordinator.until(last)

    async def pid(self, session: str) -> int:
        """Its runner's, on this machine."""
        return await pid_of(self.host, session)

    async def see(self, body: str, **how: Any) -> Any:
        """What the handler returns, as JSON."""
        message = await self.end(self.start(body, **how))
        assert message.HasField("done"), message
        assert message.done.state == runner.DONE_STATE_COMPLETED, message.done.error
        return json.loads(message.done.result.data)


@contextlib.asynccontextmanager
async def inside(state_dir: Path, isolation: str, patience: HostPatience = PATIENT) -> AsyncIterator[Inside]:
    """A started host."""
    coordinator = FakeCoordinator({})
    host = Host(HostConfig(state_dir=state_dir, host_id="test", isolation=isolation, patience=patience), coordinator)
    coordinator.host = host
    await host.start()
    try:
        yield Inside(host, coordinator)
    finally:
        await host.stop()
