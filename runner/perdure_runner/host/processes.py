"""The process backend: runners are forked from zygotes on this machine."""

import asyncio
import contextlib
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from perdure_proto.v1.runner_pb2 import Start

from perdure_runner.host import isolation, launch
from perdure_runner.host.backend import Ended, Files, Launched, Place
from perdure_runner.host.bubblewrap import Bubble, Shown
from perdure_runner.host.cgroups import Groups
from perdure_runner.host.config import HostConfig, Profile
from perdure_runner.host.confining import confine
from perdure_runner.host.egress import Egress
from perdure_runner.host.holding import Held
from perdure_runner.host.output import Tail
from perdure_runner.host.pythons import Interpreter, Interpreters
from perdure_runner.host.spares import Like, Spares
from perdure_runner.host.zygotes import Fork, Zygote, Zygotes

_SPARES = {Profile.OWN: 2, Profile.UNTRUSTED: 3}
"""Runners that are made ahead of sessions."""
_ZYGOTES_WITH_SPARES = 2  # those used last


@dataclass(frozen=True, slots=True)
class Nest:
    """A zygote that is ready; the place of any number of runners."""

    python: Interpreter
    zygote: Zygote
    keep_bytes: int
    isolation: str
    egress: Egress | None  # None: runners have the machine's own network
    held: Held
    spares: Spares

    def launch(self, start: Start, files: Files, ended: Ended) -> Launched:
        """Have the zygote fork; see `Place.launch`."""
        limits = self.held.limits(start)
        told = confine(start, files)
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            spare = self.spares.take(Like(limits, told["network"] != "all", told))
            held = spare.held if spare is not None else self.held.hold(limits)
            undo.callback(held.clean_up if spare is None else spare.end)
            door = self.egress.door(start) if self.egress else None
            if door is not None:
                undo.callback(door.close)
                ended = door.until(ended)
            ours, other = socket.socketpair()
            undo.callback(ours.close)
            theirs.callback(other.close)
            groups = held.joining() if spare is None else ()
            for group in groups:
                theirs.callback(os.close, group)
            output, write_end = os.pipe2(os.O_CLOEXEC)
            theirs.pop_all()  # now it is for who forks to close them
            said = Tail(asyncio.get_running_loop(), output, self.keep_bytes)
            undo.callback(said.close)
            way_out = door.give() if door is not None else None
            told = told | {"counted": held.counted, "writable": [str(held.folder)] if held.folder else []}
            fork = Fork(other.detach(), write_end, told, groups, way_out)
            make = self.zygote.fork if spare is None else spare.launch
            process = make(fork, lambda status: held.let_go(process, status, ended))
            undo.pop_all()
        paths = (str(files.code), str(files.cache), str(files.environment or ""))
        nested = self.isolation == "namespaces"
        return Launched(process, ours, said, *paths, proxied=door is not None, confined=nested, shares=nested)


class Processes:
    """Zygotes, and the interpreters they run on; a `Backend`."""

    capability = "process"

    def __init__(self, config: HostConfig) -> None:
        self._config = config
        self.pythons = Interpreters(config.python)
        self.zygotes = Zygotes(config)
        self._egress = Egress(config.egress)
        self._held = Held()
        self._spares: dict[Zygote, Spares] = {}  # the last is of the zygote used last
        self._shown: dict[str, Shown] = {}  # by interpreter, for bubblewrap
        self._kind = "plain"
        self._default: Interpreter | None = None

    @property
    def isolation(self) -> str:
        return self._kind

    def versions(self) -> list[str]:
        return self.pythons.versions()

    async def open(self) -> None:
        self._default = await self.pythons.resolve("")
        chosen = await isolation.choose(self._config, self._default.path)
        isolation.say(chosen.notes)
        self._kind = self.zygotes.isolation = chosen.kind
        self._held = Held(self._make_groups(), self._make_scratch(), chosen.kind == "namespaces")
        if chosen.kind == "bubblewrap":
            await self._look(self._default)
            return
        for seed in self._config.warm_seeds:
            self.zygotes.start(self._default, seed)

    async def interpreter(self, name: str) -> Interpreter:
        return await self.pythons.resolve(name)

    def _make_groups(self) -> Groups | None:
        return Groups() if self._config.profile is Profile.UNTRUSTED and self._kind != "plain" else None

    def _make_scratch(self) -> Path | None:
        if self._kind != "landlock":
            return None
        scratch = self._config.state_dir / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        return scratch

    async def _look(self, python: Interpreter) -> Shown:
        """Find out what sessions of an interpreter must see."""
        if python.path not in self._shown:
            self._shown[python.path] = (await isolation.survey(self._config, python.path)).shown
        return self._shown[python.path]

    def at_hand(self, start: Start) -> Place | None:
        if self._default is None or not self.pythons.means(start.python, self._default):
            return None
        if self._kind == "bubblewrap":
            return self._bubble(self._default, self._shown[self._default.path])
        zygote = self.zygotes.at_hand(self._default, start.hash_seed)
        return None if zygote is None else self._nest(self._default, zygote)

    async def get(self, start: Start, python: Interpreter, environment: Path | None) -> Place:  # noqa: ARG002
        if self._kind == "bubblewrap":
            return self._bubble(python, await self._look(python))
        return self._nest(python, await self.zygotes.get(python, start.hash_seed))

    async def prepare(self, python: Interpreter, hash_seed: int, lock: str, environment: Path | None) -> None:  # noqa: ARG002
        if self._kind == "bubblewrap":
            await self._look(python)
        else:
            await self.zygotes.get(python, hash_seed)

    async def close(self) -> None:
        for spares in self._spares.values():
            spares.close()
        self.zygotes.kill()
        self._egress.close()
        if self._held.groups is not None:
            self._held.groups.close()

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
        egress = self._egress if self._kind == "namespaces" else None
        spares = self._spares_of(zygote)
        return Nest(python, zygote, self._config.limits.output_bytes, self._kind, egress, self._held, spares)

    def _spares_of(self, zygote: Zygote) -> Spares:
        spares = self._spares.pop(zygote, None)
        if spares is None:
            count, settle = _SPARES[self._config.profile], self._kind == "namespaces"
            spares = Spares(zygote, self._held, count, settle=settle)
        self._spares[zygote] = spares
        for other in [*self._spares][:-_ZYGOTES_WITH_SPARES]:
            self._spares.pop(other).close()
        return spares

    def _bubble(self, python: Interpreter, shown: Shown) -> Bubble:
        return Bubble(python, self._config, shown, self._egress, self._held)
