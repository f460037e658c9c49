"""A host: starts, watches and stops the runners of its sessions, and relays their messages to the coordinator."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from perdure import _version
from perdure_proto.v1.runner_pb2 import (
    AskRunnerHealth,
    FromHost,
    Heartbeat,
    HostHealth,
    HostHello,
    Leaving,
    Lost,
    Prepare,
    RunnerHealth,
    Start,
    ToHost,
    Welcome,
)

from perdure_runner.host import egress, health, launch
from perdure_runner.host.ahead import Ahead, told
from perdure_runner.host.archive import ArchiveLimits
from perdure_runner.host.backend import Backend, BackendError, Files, Place
from perdure_runner.host.builds import Builds
from perdure_runner.host.config import HostConfig, HostLimits, HostPatience
from perdure_runner.host.environments import EnvironmentStore
from perdure_runner.host.lease import Lease
from perdure_runner.host.link import Coordinator
from perdure_runner.host.processes import Processes
from perdure_runner.host.pythons import Interpreter
from perdure_runner.host.session import Session
from perdure_runner.host.version import PROTOCOL_VERSION

_LEASE_S = 60.0  # as long as anybody needs to know


class Host:
    """One host on one asyncio loop; the host's end of a `Link`."""

    def __init__(self, config: HostConfig, coordinator: Coordinator, backend: Backend | None = None) -> None:
        """`backend` runs the sessions; None: the one that the configuration names.

        Raises:
            BackendError: this installation lacks what it needs.
        """
        self.config = config
        self._coordinator = coordinator
        self._backend = backend or _backend(config)
        self._builds = Builds(config, coordinator, self._backend, ArchiveLimits())
        self._environments = EnvironmentStore(config, coordinator, self._environments_in_use)
        self._sessions: dict[str, Session] = {}
        self._leaving: set[Session] = set()  # replaced by newer ones, not dead yet
        self._preparing: set[asyncio.Task[None]] = set()
        self._ahead = Ahead(self._prepare_ahead, self.send)
        self._heartbeat: asyncio.TimerHandle | None = None
        self._held = False
        self._stopping = False
        self.lease: Lease | None = None  # of the link; None: one that needs none
        self.draining = False
        self.drained = asyncio.Event()  # it was told to drain, and the last session has gone
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def limits(self) -> HostLimits:
        return self.config.limits

    @property
    def patience(self) -> HostPatience:
        return self.config.patience

    @property
    def lease_s(self) -> float:
        """For so many seconds the sessions that are here are surely nobody else's."""
        return max(0.0, min(self.lease.left_s, _LEASE_S)) if self.lease is not None else _LEASE_S

    @property
    def backend(self) -> Backend:
        """What runs the sessions."""
        return self._backend

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The sessions that are here, by their id."""
        return self._sessions

    async def start(self) -> None:
        """Prepare the state directory and the backend, and greet the coordinator.

        Raises:
            OSError: the state directory cannot be used.
            BackendError: there is nothing that could run sessions.
            InterpreterNotFoundError: the configured interpreter is none.
        """
        launch.home(self.config).mkdir(parents=True, exist_ok=True)
        self._builds.prepare()
        self._environments.prepare()
        await self._backend.open()
        self.hello()

    def hello(self) -> None:
        """Greet the coordinator: the first message on a new link."""
        hello = HostHello(
            protocol_version=PROTOCOL_VERSION,
            host_id=self.config.host_id,
            perdure_version=_version.__version__,
            capacity=self.config.capacity,
            labels=self.config.labels,
            capabilities=[self._backend.capability],
            pythons=self._backend.versions(),
            isolation=self._backend.isolation,
            environments=self._environments.digests(),
            pid=os.getpid(),
        )
        self.send(FromHost(hello=hello))

    def drain(self) -> None:
        """Be `drained` as soon as no session is here. The coordinator places no more of them, which is up to it."""
        self.draining = True
        self._ahead.stop()
        self._see_whether_drained()

    def leave(self, reason: str) -> None:
        """Drain, and have the coordinator move the sessions that are here."""
        self.send(FromHost(leaving=Leaving(reason=reason)))
        self.drain()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more sessions, let those that are here end by themselves for `grace_s` seconds, kill the rest."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), grace_s)
        for session in [*self._sessions.values()]:
            session.fail("the host is leaving")
        for task in self._preparing:
            task.cancel()
        await asyncio.gather(*self._preparing, return_exceptions=True)
        await self._ahead.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), 2 * self.patience.exit_s)
        await self._backend.close()
        self._environments.close()
        self._beat_every(0)

    # The link.

    def receive(self, message: ToHost) -> None:
        """Take a message of the coordinator; those for an old epoch or an unknown session are ignored."""
        kind = message.WhichOneof("message")
        match kind:
            case None | "heartbeat":
                pass
            case "welcome":
                self._welcome(message.welcome)
            case "start":
                self._begin(message.start)
            case "prepare":
                self._ahead.prepare(message.prepare)
            case "drain":
                self.drain()
            case "ask_runner_health":
                self._tell_health(message.ask_runner_health)
            case _:
                content = getattr(message, kind)
                session = self._sessions.get(content.session_id)
                if session is not None and session.start.epoch == content.epoch and not session.over:
                    _COMMANDS[kind](session, content)

    def closed(self, reason: str) -> None:  # noqa: ARG002 (the link's signature)
        """The coordinator is out of reach: its sessions go on elsewhere, so all runners die here."""
        self._beat_every(0)
        self._ahead.forget()
        for session in [*self._sessions.values()]:
            self._give_up(session)

    def send(self, message: FromHost) -> None:
        """Give the coordinator a message."""
        self._coordinator.receive(message)

    def hold(self, held: bool) -> None:
        """Stop reading the runners while the link takes no more, or go on."""
        self._held = held
        for session in self._sessions.values():
            session.hold(held)

    def _welcome(self, welcome: Welcome) -> None:
        self._beat_every(welcome.heartbeat_ms / 1000)

    def _beat_every(self, seconds: float) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None
        if seconds:
            self.send(FromHost(heartbeat=Heartbeat(at_us=time.time_ns() // 1000, health=self._health())))
            self._heartbeat = asyncio.get_running_loop().call_later(seconds, self._beat_every, seconds)

    def _health(self) -> HostHealth:
        machine = health.of_machine(self.config.state_dir)
        return HostHealth(
            sessions=len(self._sessions),
            load=machine.load,
            memory_available_bytes=machine.memory_available_bytes,
            disk_free_bytes=machine.disk_free_bytes,
            environments=self._environments.digests(),
        )

    def _tell_health(self, asked: AskRunnerHealth) -> None:
        answer = RunnerHealth(session_id=asked.session_id, epoch=asked.epoch)
        session = self._sessions.get(asked.session_id)
        if session is not None and session.start.epoch == asked.epoch:
            usage = health.of_process(session.pid) if session.pid else health.Usage()
            answer.state, answer.pid = session.state.value, session.pid
            answer.memory_bytes, answer.processes, answer.cpu_s = usage.memory_bytes, usage.processes, usage.cpu_s
        self.send(FromHost(runner_health=answer))

    # Sessions.

    def ended(self, session: Session) -> None:
        """Called by a session when it is over."""
        self._leaving.discard(session)
        if self._sessions.get(session.start.session_id) is session:
            del self._sessions[session.start.session_id]
        if not self._sessions and not self._leaving:
            self._empty.set()
            self._see_whether_drained()

    def _see_whether_drained(self) -> None:
        if self.draining and self._empty.is_set():
            self.drained.set()

    def _begin(self, start: Start) -> None:
        old = self._sessions.get(start.session_id)
        if old is not None:
            if start.epoch <= old.start.epoch:
                return
            self._give_up(old)
        if self._stopping or len(self._sessions) >= self.config.capacity:
            reason = "the host is leaving" if self._stopping else "the host is full"
            refused = Lost(session_id=start.session_id, epoch=start.epoch, reason=reason, refused=True)
            self.send(FromHost(lost=refused))
            return
        session = self._sessions[start.session_id] = Session(start, self)
        self._empty.clear()
        session.hold(self._held)
        if not self._launch_at_once(session):
            task = asyncio.create_task(self._prepare(session))
            self._preparing.add(task)
            task.add_done_callback(lambda task: self._prepared(task, session))

    def _give_up(self, session: Session) -> None:
        """It goes on elsewhere, or anew; until its process is dead it takes nobody's place."""
        self._leaving.add(session)
        del self._sessions[session.start.session_id]
        session.silence()

    def _launch_at_once(self, session: Session) -> bool:
        """Launch a session if nothing needs to be awaited for it: the usual case, and the fast one."""
        start = session.start
        place = self._backend.at_hand(start)
        if place is None or (build := self._builds.at_hand(start.build, place.python)) is None:
            return False
        environment = self._environments.at_hand(start.environment, place.python) if start.environment else None
        if start.environment and environment is None:
            return False
        self._launch(session, place, Files(*build, environment))
        return True

    async def _prepare(self, session: Session) -> None:
        start = session.start
        python = await self._backend.interpreter(start.python)
        files = await self._files(start, python)
        place = await self._backend.get(start, python, files.environment)
        if not session.over:
            self._launch(session, place, files)

    async def _prepare_ahead(self, asked: Prepare) -> None:
        if self._preparing:  # for sessions that wait
            await asyncio.wait(self._preparing)
        python = await self._backend.interpreter(asked.python)
        files = await self._files(asked, python, ahead=True)
        await self._backend.prepare(python, asked.hash_seed, asked.environment, files.environment)

    async def _files(self, of: Start | Prepare, python: Interpreter, *, ahead: bool = False) -> Files:
        environment = await self._environments.get(of.environment, python, ahead=ahead) if of.environment else None
        code, cache = await self._builds.get(of.build, python)
        return Files(code, cache, environment)

    def _environments_in_use(self) -> set[str]:
        sessions = (*self._sessions.values(), *self._leaving)
        return {session.start.environment for session in sessions} | {self._ahead.environment}

    def _prepared(self, task: asyncio.Task[None], session: Session) -> None:
        """Report why there is no process. An error with a code of ours is final; others may pass."""
        self._preparing.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            code, reason = told(fault)
            session.fail(reason, code, fatal=bool(code))

    def _launch(self, session: Session, place: Place, files: Files) -> None:
        try:
            egress.check(self._backend.isolation, session.start)
            launched = place.launch(session.start, files, session.exited)
        except (BackendError, OSError) as error:  # descriptors, processes and memory may be used up
            code = getattr(error, "code", "")
            session.fail(str(error), code, fatal=bool(code))
            return
        session.run(launched)


def _backend(config: HostConfig) -> Backend:
    if config.docker is None:
        return Processes(config)
    from perdure_runner.host.docker.backend import Docker  # what it needs is not installed with everything else

    return Docker(config, config.docker)


_COMMANDS: Mapping[str, Callable[[Session, Any], None]] = {
    "history": Session.history,
    "committed": Session.committed,
    "resolved": Session.resolved,
    "answer": Session.answer,
    "stop": Session.stop,
}
