"""The process backend: runners are forked from zygotes on this machine."""

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
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
    isolation: str
    egress: Egress | None  # None: runners have the machine's own network
    groups: Groups | None  # None: they have no control groups of their own
    scratch: Path | None  # where runners get a folder to write in; None: the sandbox has one of its own

    def launch(self, start: Start, files: Files, ended: Ended) -> Launched:
        """Have the zygote fork; see `Place.launch`."""
        held = _Held(self._group(start), self.groups, self._folder())
        ours, theirs = socket.socketpair()
        output, write_end = os.pipe2(os.O_CLOEXEC)
        said = Tail(asyncio.get_running_loop(), output, self.keep_bytes)
        door = self.egress.door(start) if self.egress else None
        if door is not None:
            ended = door.until(ended)
        way_out = door.give() if door is not None else None
        told = confine(start, files, [held.folder] if held.folder else [])
        fork = Fork(theirs.detach(), write_end, told, held.joining(), way_out)
        try:
            process = self.zygote.fork(fork, lambda status: held.let_go(process, status, ended))
        except ZygoteError:
            ours.close()
            said.close()
            held.clean_up()
            if door is not None:
                door.close()
            raise
        paths = (str(files.code), str(files.cache), str(files.environment or ""))
        return Launched(process, ours, said, *paths, door is not None, self.isolation == "namespaces")

    def _group(self, start: Start) -> Group | None:
        try:
            return self.groups.make(start.limits) if self.groups else None
        except OSError as error:
            raise BackendError(f"no control group for a runner: {error}") from None

    def _folder(self) -> Path | None:
        return Path(tempfile.mkdtemp(prefix="runner-", dir=self.scratch)) if self.scratch else None


@dataclass(frozen=True, slots=True)
class _Held:
    """What one runner holds on this machine besides its processes."""

    group: Group | None
    groups: Groups | None
    folder: Path | None

    def joining(self) -> list[int]:
        return self.group.join() if self.group else []

    def let_go(self, process: Forked, status: int | None, ended: Ended) -> None:
        if self.group is not None:
            process.limit = self.group.reached(status)
        self.clean_up()
        ended(status)

    def clean_up(self) -> None:
        if self.group is not None and self.groups is not None:
            self.groups.give_back(self.group)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class Processes:
    """Zygotes, and the interpreters they run on; a `Backend`."""

    capability = "process"

    def __init__(self, config: HostConfig) -> None:
        self._config = config
        self.pythons = Interpreters(config.python)
        self.zygotes = Zygotes(config)
        self._egress = Egress(config.egress)
        self._groups: Groups | None = None
        self._scratch: Path | None = None
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
        if chosen.kind == "landlock":
            self._scratch = self._config.state_dir / "scratch"
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir()
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
        keep_bytes = self._config.limits.output_bytes
        return Nest(python, zygote, keep_bytes, self.isolation, egress, self._groups, self._scratch)
