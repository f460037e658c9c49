"""A Docker Engine for tests, and hosts whose runners are its containers.

Where no engine answers, `dockerd` is started with folders of its own and without a bridge, for all workers of one run
together: the last one to finish ends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.config import HostConfig
from perdure_runner.host.docker import base
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.docker.engine import Engine, EngineError
from perdure_runner.host.host import Host
from unit.host_support import FakeCoordinator, tarball

READY_S = 60.0
_POLL_S = 0.05


class NoEngine(Exception):
    """Why these tests cannot run here."""


@dataclass
class Dockerd:
    """An engine of our own, in `folder`."""

    folder: Path
    pid: int = 0

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> None:
        """Start it (again), and wait until it answers. It outlives this process if nobody stops it."""
        if shutil.which("dockerd") is None or os.getuid() != 0:
            raise NoEngine("no engine can be started here: that needs dockerd, and root")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pid").unlink(missing_ok=True)
        paths = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        # What it mounts is seen by nobody else, and goes with it, however it and this process end.
        command = ["unshare", "--mount", "--propagation=slave", "dockerd", "--host", self.url]
        command += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        command += [f"--{option}={self.folder / name}" for option, name in paths.items()]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = process.pid
        deadline = time.monotonic() + READY_S
        while not answers(self.url):
            if process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise NoEngine(f"dockerd does not come up: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(_POLL_S)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, by its pid, if it is there, and wait until it and its containerd are gone.

        Told nicely, it leaves no network: those of engines that are no more would use up the machine's addresses.
        """
        if number == signal.SIGTERM and answers(self.url):
            engine = Engine(self.url)
            engine.ask(lambda client: client.networks.prune())
            engine.close()
        file = self.folder / "exec" / "containerd" / "containerd.pid"
        below = int(file.read_text()) if file.exists() else 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        for pid in (self.pid, below):
            while pid and Path(f"/proc/{pid}/exe").exists():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(self.pid, os.WNOHANG)
                time.sleep(_POLL_S)
        file.unlink(missing_ok=True)  # where nobody reaps orphans, the next dockerd would take its zombie for alive

    def remove(self) -> None:
        """Remove all it has, when it has ended; shims of its containers may still be removing what was theirs."""
        deadline = time.monotonic() + READY_S
        while self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=time.monotonic() < deadline)


def answers(url: str) -> bool:
    engine = Engine(url)
    try:
        return bool(engine.ask(lambda client: client.ping()))
    except EngineError:
        return False
    finally:
        engine.close()


@contextlib.contextmanager
def shared_engine(folder: Path) -> Iterator[str]:
    """The address of an engine with a base image: the one that is there, or our own in `folder`, for all workers."""
    try:
        if answers(""):
            _ensure_base("")
            yield ""
            return
    except EngineError as error:
        raise NoEngine(str(error)) from None
    folder.mkdir(parents=True, exist_ok=True)
    ours = Dockerd(folder / "engine")
    with _state(folder) as state:
        if not state.get("users"):
            ours.start()
            try:
                _ensure_base(ours.url)
            except BaseException:
                ours.end()
                ours.remove()
                raise
            state["pid"] = ours.pid
        ours.pid = state["pid"]
        state["users"] = state.get("users", 0) + 1
    try:
        yield ours.url
    finally:
        with _state(folder) as state:
            state["users"] -= 1
            if not state["users"]:
                ours.end()
                ours.remove()


@contextlib.contextmanager
def _state(folder: Path) -> Iterator[dict[str, int]]:
    """What the workers of this run know together; whoever has it open is alone."""
    with (folder / "state.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        state = json.loads(file.read() or "{}")
        try:
            yield state
        finally:
            file.truncate(0)
            file.write(json.dumps(state))
            file.flush()


def _ensure_base(url: str) -> None:
    engine = Engine(url)
    try:
        if not engine.ask(base.bases):
            base.build_debian(engine, "", lambda _: None)
    except EngineError as error:
        raise NoEngine(str(error)) from None
    finally:
        engine.close()


def containers(url: str) -> list[dict[str, Any]]:
    """All containers of an engine, as `docker ps -a` has them."""
    engine = Engine(url)
    try:
        found: list[dict[str, Any]] = engine.ask(lambda client: client.api.containers(all=True))
        return found
    finally:
        engine.close()


def of_host(url: str, host_id: str) -> list[dict[str, Any]]:
    """The containers of one host: others belong to tests that run beside this one."""
    return [each for each in containers(url) if each["Labels"].get("perdure.host") == host_id]


def base_versions(url: str) -> list[str]:
    """Minor versions of Python that an engine has base images of."""
    engine = Engine(url)
    found = engine.ask(base.bases)
    engine.close()
    return ["{}.{}".format(*each.python.version) for each in found]


def copy_base(source: str, target: str) -> None:
    """Give an engine the base images of another one."""
    engines = Engine(source), Engine(target)
    for found in engines[0].ask(base.bases):
        image = engines[0].ask(lambda client, tag=found.tag: client.images.get(tag))
        saved = b"".join(image.save(named=found.tag))
        engines[1].ask(lambda client, data=saved: client.images.load(data))
    for engine in engines:
        engine.close()


def kill_container(url: str, host_id: str, name: str) -> None:
    """`kill -9` of a container, as soon as it is called after its session."""
    deadline = time.monotonic() + READY_S
    while not (found := [each for each in of_host(url, host_id) if f"/{name}" in each["Names"]]):
        assert time.monotonic() < deadline, f"no container {name}"
        time.sleep(_POLL_S)
    engine = Engine(url)
    engine.ask(lambda client: client.api.kill(found[0]["Id"], "SIGKILL"))
    engine.close()


@contextlib.asynccontextmanager
async def docker_host(
    folder: Path, url: str, build: str, **given: Any
) -> AsyncIterator[tuple[Host, FakeCoordinator, str]]:
    """A started host of containers, its coordinator, and the digest of a build with this `handlers.py`."""
    import hashlib

    packed = tarball(handlers__py=build)
    digest = hashlib.sha256(packed).hexdigest()
    coordinator = FakeCoordinator({digest: packed})
    docker = DockerConfig(url=url, **given.pop("docker", {"warm": 1}))
    config = HostConfig(state_dir=folder, host_id=f"test-{os.getpid()}-{folder.name}", docker=docker, **given)
    host = Host(config, coordinator)
    coordinator.host = host
    await host.start()
    try:
        yield host, coordinator, digest
    finally:
        await host.stop()


def begin(coordinator: FakeCoordinator, build: str, name: str, session_id: str = "s", **fields: Any) -> None:
    """Ask for a session of `handlers.py:NAME` that records nothing."""
    coordinator.start(f"handlers.py:{name}", session_id, build=build, durable=False, **fields)


async def result(coordinator: FakeCoordinator, session_id: str = "s") -> Any:
    """What a session returned, as JSON; a session that is lost or failed meanwhile fails the test."""
    message = await coordinator.until(
        lambda heard: (
            heard.WhichOneof("message") in {"done", "lost"}
            and getattr(heard, heard.WhichOneof("message") or "").session_id == session_id
        )
    )
    assert message.HasField("done"), message
    assert message.done.state == runner.DONE_STATE_COMPLETED, message
    return json.loads(message.done.result.data or b"null")


async def lost(coordinator: FakeCoordinator, session_id: str = "s") -> runner.Lost:
    """How a session was lost."""
    message = await coordinator.until(lambda heard: heard.HasField("lost") and heard.lost.session_id == session_id)
    return message.lost
