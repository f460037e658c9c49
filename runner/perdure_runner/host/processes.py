"""The process backend: runners are forked from zygotes on this machine."""

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from perdure_proto.v1.runner_pb2 import Start

from perdure_runner.host import isolation, launch
from perdure_runner.host.backend import BackendError, Ended, Files, Launched
from perdure_runner.host.cgroups import Group, Groups
from perdure_runner.host.config import HostConfig, Profile
from perdure_runner.host.confining import confine
from perdure_runner.host.egress import Egress
from perdure_runner.host.output import Tail
from perdure_runner.host.pythons import Interpreter, Interpreters
from perdure_runner.host.zygotes import Fork, Forked, Zygote, ZygoteError, Zygotes

WITH_NETWORK_OF_THEIR_OWN = frozenset({"namespaces", "bubblewrap"})


@dataclass(frozen=True, slots=True)
class Nest:
    """A zygote that is ready; the place of any number of runners."""

    python: Interpreter
    zygote: Zygote
    keep_bytes: int
    egress: Egress | None  # None: runners have the machine's own network
    groups: Groups | None  # None: they have no control groups of their own

    def launch(self, start: Start, files: Files, ended: Ended) -> Launched:
        """Have the zygote fork; see `Place.launch`."""
        group = self._group(start)
        ours, theirs = socket.socketpair()
        output, write_end = os.pipe2(os.O_CLOEXEC)
        said = Tail(asyncio.get_running_loop(), output, self.keep_bytes)
        door = self.egress.door(start) if self.egress else None
        if door is not None:
            ended = door.until(ended)
        joining = group.join() if group else ()
        way_out = door.give() if door is not None else None
        fork = Fork(theirs.detach(), write_end, confine(start, files), joining, egress=way_out)
        try:
            process = self.zygote.fork(fork, lambda status: self._gone(process, group, status, ended))
        except ZygoteError:
            ours.close()
            said.close()
            if door is not None:
                door.close()
            raise
        return Launched(process, ours, said, str(files.code), str(files.cache), str(files.environment or ""), door is not None)


    def _group(self, start: Start) -> Group | None:
        try:
            return self.groups.make(start.limits) if self.groups else None
        except OSError as error:
            raise BackendError(f"no control group for a runner: {error}") from None

    def _gone(self, process: Forked, group: Group | None, status: int | None, ended: Ended) -> None:
        if group is not None and self.groups is not None:
            process.limit = group.reached(status)
            self.groups.give_back(group)
        ended(status)


class Processes:
    """Zygotes, and the interpreters they run on; a `Backend`."""

    capability = "process"

    def __init__(self, config: HostConfig) -> None:
        self._config = config
        self.pythons = Interpreters(config.python)
        self.zygotes = Zygotes(config)
        self._egress = Egress(config.egress)
        self._groups: Groups | None = None
        self._default: Interpreter | None = None

    @property
    def isolation(self) -> str:
        return self.zygotes.isolation

    def versions(self) -> list[str]:
        return self.pythons.versions()

    async def open(self) -> None:
        self._default = await self.pythons.resolve("")
        chosen = await isolation.choose(self._config, self._default.path)
        isolation.say(chosen.notes)
        self.zygotes.isolation = chosen.kind
        if self._config.profile is Profile.UNTRUSTED and chosen.kind != "plain":
            self._groups = Groups()
        for seed in self._config.warm_seeds:
            self.zygotes.start(self._default, seed)

    async def interpreter(self, name: str) -> Interpreter:
        return await self.pythons.resolve(name)

    def at_hand(self, start: Start) -> Nest | None:
        if self._default is None or not self.pythons.means(start.python, self._default):
            return None
        zygote = self.zygotes.at_hand(self._default, start.hash_seed)
        return None if zygote is None else self._nest(self._default, zygote)

    async def get(self, start: Start, python: Interpreter, environment: Path | None) -> Nest:  # noqa: ARG002
        return self._nest(python, await self.zygotes.get(python, start.hash_seed))

    async def close(self) -> None:
        self.zygotes.kill()
        self._egress.close()
        if self._groups is not None:
            self._groups.close()

    async def compile(self, python: Interpreter, code: Path, cache: Path) -> None:
        arguments = launch.command(self._config, python.path, "compile", f"--root={code}", f"--cache={cache}")
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=launch.home(self._config),
            env=launch.environment(self._config, 0),
            start_new_session=True,
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), self._config.patience.compile_s)
        if process.returncode is None:
            process.kill()
            await process.wait()

    def _nest(self, python: Interpreter, zygote: Zygote) -> Nest:
        egress = self._egress if self.isolation in WITH_NETWORK_OF_THEIR_OWN else None
        return Nest(python, zygote, self._config.limits.output_bytes, egress, self._groups)
