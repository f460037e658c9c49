"""The Docker backend: what a host needs, done with containers of an engine on this machine."""

import asyncio
import contextlib
import sys
from pathlib import Path

from perdure_proto.v1.runner_pb2 import Start

from perdure_runner.host.backend import BackendError
from perdure_runner.host.config import HostConfig
from perdure_runner.host.docker.cell import Cell
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.docker.ending import Undertaker
from perdure_runner.host.docker.engine import Engine, NotThereError
from perdure_runner.host.docker.images import Images
from perdure_runner.host.docker.making import Maker
from perdure_runner.host.docker.pool import Pool
from perdure_runner.host.docker.shape import Shape
from perdure_runner.host.pythons import Interpreter, InterpreterNotFoundError

_USUAL = sys.version_info[:2]  # of Python, for projects that name none, if there is a base with it
_CLOSE_S = 30.0  # for an engine that is there to remove all containers; a server gives its host more than that to end


class Docker:
    """A `Backend` of containers, one for each session."""

    capability = "docker"
    isolation = "docker"

    def __init__(self, config: HostConfig, docker: DockerConfig) -> None:
        """Raises NoEngineError: the docker SDK is not installed."""
        self._config = config
        self._engine = Engine(docker.url)
        self._undertaker = Undertaker(self._engine)
        self._images = Images(self._engine, config, self._undertaker.marks)
        self._maker = Maker(self._engine, self._undertaker, self._images, config, docker)
        self._pool = Pool(self._maker.make, docker.warm, docker.making)
        self._warming: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many warm containers there are just now."""
        return self._pool.waiting

    def versions(self) -> list[str]:
        return ["{}.{}".format(*base.python.version) for base in self._images.bases]

    async def open(self) -> None:
        await self._images.refresh()
        if swept := await self._undertaker.sweep():
            print(f"perdure: removing {swept} containers that dead hosts left", file=sys.stderr, flush=True)
        self._maker.prepare()
        self._warming = asyncio.create_task(self._warm())

    async def interpreter(self, name: str) -> Interpreter:
        try:
            return self._images.base(name, _USUAL).python
        except InterpreterNotFoundError:
            await self._images.refresh()  # it may have been built since
            return self._images.base(name, _USUAL).python

    def at_hand(self, start: Start) -> Cell | None:
        try:
            base = self._images.base(start.python, _USUAL)
        except InterpreterNotFoundError:
            return None
        image = self._images.at_hand(base, start.environment)
        return None if image is None else self._pool.peek(Shape.of(start, image))

    async def get(self, start: Start, python: Interpreter, environment: Path | None) -> Cell:
        image = await self._images.get(python, start.environment, environment)
        try:
            return await self._pool.get(Shape.of(start, image), python)
        except NotThereError:  # somebody has removed it; the next try makes it anew
            self._images.forget(image)
            await self._images.refresh()
            raise

    async def prepare(self, python: Interpreter, hash_seed: int, lock: str, environment: Path | None) -> None:  # noqa: ARG002
        await self._images.get(python, lock, environment)

    async def close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        self._images.close()
        await self._pool.close()
        if not await self._undertaker.finish(_CLOSE_S):
            why = "perdure: containers are left to the next host: the engine is gone, or did not remove them in time"
            print(why, file=sys.stderr, flush=True)
        self._engine.close()
        self._maker.close()

    async def compile(self, python: Interpreter, code: Path, cache: Path) -> None:
        await self._maker.compile(python, await self._images.get(python, "", None), code, cache)

    async def _warm(self) -> None:
        """Begin with what usual sessions of the usual seeds need. That it fails is said when a session needs it."""
        with contextlib.suppress(BackendError):
            python = self._images.base("", _USUAL).python
            image = await self._images.get(python, "", None)
            for seed in self._config.warm_seeds:
                self._pool.warm(Shape.usual(image, seed), python)
