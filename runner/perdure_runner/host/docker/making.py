"""How a cell is made: a folder, a listener in it, a container that has it bound, and a zygote that connects."""

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perdure_runner.host.config import HostConfig
from perdure_runner.host.docker.cell import Box, Cell, said_last
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.docker.ending import Undertaker
from perdure_runner.host.docker.engine import Engine, EngineError, NoEngineError
from perdure_runner.host.docker.images import Images
from perdure_runner.host.docker.layers import LABEL
from perdure_runner.host.docker.shape import INSIDE, USER, Shape
from perdure_runner.host.egress import Egress
from perdure_runner.host.pythons import Interpreter

_CONTROL = "control.sock"
_NETWORK = "perdure"
_LOOK_S = 1.0  # between looks at a container that does not connect
_AGAIN_S = 0.5  # before an engine that does not answer is asked again


class Maker:
    """Makes cells on one engine."""

    def __init__(
        self, engine: Engine, undertaker: Undertaker, images: Images, config: HostConfig, docker: DockerConfig
    ) -> None:
        self._engine = engine
        self._undertaker = undertaker
        self._images = images
        self._config = config
        self._docker = docker
        self._egress = Egress(config.egress)
        self._one = asyncio.Lock()
        self._cells = config.state_dir / "cells"
        self._labels = {LABEL: "session", "perdure.host": config.host_id, **undertaker.marks}

    def close(self) -> None:
        """Resolve no more names."""
        self._egress.close()

    def prepare(self) -> None:
        """Make the folder of folders. Nobody but this user, and containers that have one bound, gets into it."""
        shutil.rmtree(self._cells, ignore_errors=True)
        self._cells.mkdir(mode=0o700, parents=True)

    async def make(self, shape: Shape, python: Interpreter) -> Cell:
        """Make a container, and wait for its zygote. An engine that does not answer is waited for.

        Raises:
            EngineError: it refuses, or is gone for long, or the zygote did not come; its message has what it said.
        """
        try:
            async with asyncio.timeout(self._config.patience.start_s):
                while True:
                    with contextlib.suppress(NoEngineError):
                        return await self._make(shape, python)
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            patience_s = self._config.patience.start_s
            raise EngineError(f"no container was ready within {patience_s:.0f} s; is the engine?") from None

    async def compile(self, python: Interpreter, image: str, code: Path, cache: Path) -> None:
        """Fill a build's cache in a container of the usual shape, without network. That it fails is no error."""
        shape = Shape.usual(image, 0)
        given = shape.container(self._docker, "none")
        command = self._images.command(python, "compile", f"--root={INSIDE}/code", f"--cache={INSIDE}/cache")
        user = USER
        if os.getuid() == 0:
            os.chown(cache, *map(int, USER.split(":")))
        else:
            user = f"{os.getuid()}:{os.getgid()}"  # so that we may move what it made
        binds = {str(code): {"bind": f"{INSIDE}/code", "mode": "ro"}, str(cache): {"bind": f"{INSIDE}/cache"}}
        given |= {"command": command, "labels": self._labels, "volumes": binds, "user": user}
        name = _new_name()
        starting = asyncio.create_task(self._engine.call(lambda client: _start(client, given | {"name": name})))
        try:
            container = await asyncio.shield(starting)
            with contextlib.suppress(EngineError):
                await self._engine.call(lambda client: client.api.wait(container, timeout=self._compile_s))
        finally:
            removing = self._undertaker.take(self._discard(starting, name))
        await asyncio.wait((removing,), timeout=self._compile_s)  # until then it may write there
        _make_ours(cache)

    @property
    def _compile_s(self) -> float:
        return self._config.patience.compile_s

    async def _make(self, shape: Shape, python: Interpreter) -> Cell:
        name = _new_name()
        folder = self._cells / name
        folder.mkdir(mode=0o755)
        starting = asyncio.create_task(self._start(shape, python, name, folder))
        try:
            with _listening(folder) as listener:
                container = await asyncio.shield(starting)
                control = await self._accept(listener, container)
            box = Box(self._engine, self._undertaker, self._egress, container, folder)
            cell = Cell(box, control, shape, python, self._config.limits.output_bytes)
        except BaseException:
            self._undertaker.take(self._discard(starting, name, folder))
            raise
        await cell.ready()
        return cell

    async def _start(self, shape: Shape, python: Interpreter, name: str, folder: Path) -> str:
        """Create and start a container; gives its id."""
        network = await self._network() if shape.network else "none"
        given = shape.container(self._docker, network)
        given["command"] = self._images.command(
            python,
            "zygote",
            f"--connect={INSIDE}/{_CONTROL}",
            "--isolation=locked",
            f"--state={INSIDE}",
            f"--main={self._config.main}",
        )
        given |= {"name": name, "labels": self._labels, "volumes": {str(folder): {"bind": INSIDE, "mode": "ro"}}}
        return await self._engine.call(lambda client: _start(client, given))

    async def _discard(self, starting: asyncio.Task[str], name: str, folder: Path | None = None) -> None:
        """Remove a container that nobody wants any more when it has started, or has not, as far as anybody knows."""
        with contextlib.suppress(EngineError):
            await starting
        await self._undertaker.remove(name, folder)

    async def _network(self) -> str:
        """Give the network of sessions that may reach everything: each other not, and no port is published."""
        async with self._one:  # the engine would make two of the same name
            await self._engine.call(_ensure_network)
        return _NETWORK

    async def _accept(self, listener: socket.socket, container: str) -> socket.socket:
        accepting = asyncio.create_task(asyncio.get_running_loop().sock_accept(listener))
        try:
            # One for all looks: a connection that comes while an accept is cancelled would be lost.
            while not (await asyncio.wait((accepting,), timeout=_LOOK_S))[0]:
                state = await self._engine.call(lambda client: client.api.inspect_container(container)["State"])
                if not state["Running"]:
                    said = await self._engine.call(lambda client: said_last(client, container))
                    raise EngineError(f"a container ended at once: {said}")
            return accepting.result()[0]
        finally:
            accepting.cancel()
            await asyncio.wait((accepting,))  # before the listener is closed, whose number the next socket gets


def _ensure_network(client: Any) -> None:
    if all(found.name != _NETWORK for found in client.networks.list(names=[_NETWORK])):  # it gives parts of names, too
        options = {"com.docker.network.bridge.enable_icc": "false"}
        client.networks.create(_NETWORK, "bridge", options=options, labels={LABEL: "network"}, check_duplicate=True)


def _start(client: Any, given: dict[str, Any]) -> str:
    container = client.containers.create(**given)
    container.start()
    return str(container.id)


def _new_name() -> str:
    """For a container: by its name it can be removed whether the engine has said that it made it or not."""
    return f"perdure-{secrets.token_hex(6)}"


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    """Listen in a folder for the one zygote that comes; the path may be longer than a socket's name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.setblocking(False)
        handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listener.bind(f"/proc/self/fd/{handle}/{_CONTROL}")
        finally:
            os.close(handle)
        (folder / _CONTROL).chmod(0o666)  # the folder lets in nobody but the container
        listener.listen(1)
        try:
            yield listener
        finally:
            (folder / _CONTROL).unlink(missing_ok=True)


def _make_ours(cache: Path) -> None:
    """Take over what a container has made as another user."""
    if os.getuid() != 0:
        return
    for folder, folders, names in os.walk(cache):
        os.chown(folder, 0, 0)
        for name in names + folders:
            path = os.path.join(folder, name)
            os.chown(path, 0, 0, follow_symlinks=False)
