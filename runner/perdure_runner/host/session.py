"""One session on its host: a runner's process, its frames, and the messages they become.

The host's whole part in a session is here and in the table of `states.py`; what records mean is not its business.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from perdure_proto.v1 import runner_pb2 as runner

from perdure_runner import marks
from perdure_runner.frames import FrameError, Header, Parser, encode
from perdure_runner.host import convert
from perdure_runner.host.backend import Launched, Process, Said
from perdure_runner.host.config import HostLimits, HostPatience
from perdure_runner.host.connection import Connection
from perdure_runner.host.fields import ProtocolError
from perdure_runner.host.masking import Masker
from perdure_runner.host.naming import name_limit
from perdure_runner.host.outbox import Outbox
from perdure_runner.host.quiet import Quiet
from perdure_runner.host.states import COMMANDS, FRAMES, Command, State

FRAME_VERSION = 1
_REASON_CHARS = 8192


class Owner(Protocol):
    """What a session needs of its host."""

    @property
    def limits(self) -> HostLimits: ...
    @property
    def patience(self) -> HostPatience: ...
    @property
    def lease_s(self) -> float: ...
    def send(self, message: runner.FromHost) -> None: ...
    def ended(self, session: "Session") -> None: ...


class Session:
    """One attach of a session. Done is reported as soon as the runner says it, Suspended and Lost when it is gone."""

    def __init__(self, start: runner.Start, owner: Owner) -> None:
        self.start = start
        self.state = State.STARTING
        self.over = False
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._identity: dict[str, Any] = {"session_id": start.session_id, "epoch": start.epoch}
        self._masker = Masker.of(start)
        self._parser = Parser(owner.limits.frame_bytes, owner.limits.header_bytes)
        self._outbox = Outbox(start.session_id, start.epoch, owner.limits, owner.send, self._loop.time)
        self._connection: Connection | None = None
        self._process: Process | None = None
        self._said: Said | None = None
        self._early: list[tuple[Callable[[Any], None], Any]] = []  # came before there was a process
        self._last_word: runner.FromHost | None = None  # to be said when the process is gone
        self._silent = False
        self._deaf = False  # its frames are not read any more
        self._held = False  # the link takes no more for now
        self._ended = False  # its frames are
        self._status: int | None = None
        self._known = False  # its launcher has told of its process
        self._confined = self._shares = False
        self._quiet = Quiet(self._loop, owner.patience.quiet_s, self._rest)
        self._timer: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """Its process, on this machine; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    # What the host does with it.

    def run(self, launched: Launched) -> None:
        """Its process is being made: send it what it needs, and what came for it meanwhile."""
        self._process, self._said = launched.process, launched.said
        self._confined, self._shares = launched.confined, launched.shares
        self._connection = Connection(self._loop, launched.socket, self._receive, self._no_more)
        self._pace()
        launched.process.when_known(self._process_known)
        try:
            where = launched.code, launched.cache, launched.environment
            self._connection.write(convert.start_frame(self.start, *where, self._owner.lease_s, launched.proxied))
        except (FrameError, ProtocolError) as error:
            self.fail(str(error), "P0201", fatal=True)
        early, self._early = self._early, []
        for method, message in early:
            method(message)

    def fail(self, reason: str, code: str = "", *, fatal: bool = False) -> None:
        """Kill the process, if there is one; the session is lost, for this reason."""
        lost = runner.Lost(reason=reason[:_REASON_CHARS], code=code, fatal=fatal, **self._identity)
        self._last_word = runner.FromHost(lost=lost)
        self.kill()

    def kill(self) -> None:
        """Kill the process and all of its group."""
        if self._process is None:
            self._finish()
        elif not self._process.exited:
            self._process.signal(signal.SIGKILL, group=True)
            self._after(self._owner.patience.exit_s, self._finish)

    def silence(self) -> None:
        """Kill the process and report nothing any more: the session goes on elsewhere."""
        self._silent = self._deaf = True
        self.kill()

    def hold(self, held: bool) -> None:
        """Read nothing of the runner while the link is full."""
        self._held = held
        self._pace()

    def exited(self, status: int | None) -> None:
        """The process is gone (None: nobody knows how). What it sent last may still be in the socket."""
        self._status = status
        if self._ended or self._connection is None:
            self._finish()
        else:
            self._connection.resume()
            self._after(self._owner.patience.exit_s, self._finish)

    # What the coordinator says.

    def history(self, page: runner.HistoryPage) -> None:
        if self._connection is None:
            self._early.append((self.history, page))
            return
        try:
            for frame in convert.history_frames(page.entries, page.last, numbered=bool(self.start.ancestors)):
                self._connection.write(frame)
        except (FrameError, ProtocolError) as error:
            self.fail(f"history that no runner can take: {error}", "P0209", fatal=True)
        if self._connection.unsent > self._owner.limits.unread_bytes:
            self.fail(f"the runner has not read {self._connection.unsent} bytes of history")

    def committed(self, message: runner.Committed) -> None:
        number = self._outbox.committed(message.no)
        if self._connection is not None:
            self._connection.write(encode({"t": "ack", "no": number}))
        self._pace()

    def resolved(self, message: runner.Resolved) -> None:
        if self._connection is None:
            self._early.append((self.resolved, message))
            return
        self._command(Command.RESOLVE)
        try:
            self._connection.write(convert.resolved_frame(message.entry))
        except (FrameError, ProtocolError) as error:
            self.fail(f"a resolution that no runner can take: {error}", "P0209", fatal=True)

    def answer(self, message: runner.Answer) -> None:
        if self._connection is not None:
            self._connection.write(convert.answer_frame(message))

    def stop(self, message: runner.Stop) -> None:
        match message.kind:
            case runner.STOP_KIND_KILL:
                if self.state is State.DONE:
                    self.kill()
                else:
                    self.fail(f"killed: {message.reason}" if message.reason else "killed")
            case runner.STOP_KIND_SUSPEND:
                self._suspend(message)
            case runner.STOP_KIND_POLITE:
                self._stop_politely(message)

    def _stop_politely(self, message: runner.Stop) -> None:
        if self._connection is None or self._process is None:
            self._early.append((self._stop_politely, message))
            return
        self._command(Command.POLITE)
        self._connection.write(encode({"t": "stop", "kind": "polite", "reason": message.reason}))
        self._process.signal(signal.SIGUSR1, group=False)

    def _suspend(self, message: runner.Stop) -> None:
        if self.state is State.DONE:
            return
        if self._last_word is None:  # all that the session did is durable, so this is true however it ends
            self._last_word = runner.FromHost(suspended=runner.Suspended(**self._identity))
        if self._connection is None or self.state is State.STARTING:
            self.kill()
            return
        self._command(Command.SUSPEND)
        self._connection.write(encode({"t": "stop", "kind": "suspend", "reason": message.reason}))
        self._after(self._owner.patience.suspend_s, self.kill)

    def _command(self, command: Command) -> None:
        self.state = COMMANDS.get((self.state, command), self.state)

    # What the runner says.

    def _receive(self, data: bytes) -> None:
        if self._deaf:
            return
        self._outbox.received(len(data))
        if self._shares:
            self._quiet.heard()
        try:
            for header, payload in self._parser.feed(data):
                self._frame(header, payload)
        except (FrameError, ProtocolError) as error:
            self._deaf = True
            self.fail(f"a bad frame from the runner: {error}", "P0701", fatal=True)
        if self._outbox.urgent or not self._owner.patience.linger_s:
            self._outbox.flush()
        elif self._lingering is None:
            self._lingering = self._loop.call_later(self._owner.patience.linger_s, self._linger_over)
        self._pace()

    def _linger_over(self) -> None:
        self._lingering = None
        self._outbox.flush()

    def _rest(self) -> None:
        """It has said nothing for a while: it can give back memory that it does not differ in."""
        if self._process is not None and self.state is not State.DONE:
            self._process.signal(signal.SIGURG, group=False)

    def _frame(self, header: Header, payload: bytes) -> None:
        kind: Any = header.get("t")
        if kind == "marks":
            for record, value in marks.unpack(header, payload):
                self._frame(record, value)
                self._outbox.weigh_last()
            return
        following = FRAMES.get((self.state, kind)) if isinstance(kind, str) else None
        if following is None:
            raise ProtocolError(f"frame {kind!r:.40} of a session that is {self.state.value}")
        self.state = following
        if self._masker is not None:
            header = self._masker.header(header)
        self._HANDLERS[kind](self, header, payload)

    def _hello(self, header: Header, _payload: bytes) -> None:
        if header.get("v") != FRAME_VERSION:
            raise ProtocolError(f"frames of version {header.get('v')!r:.40}, not {FRAME_VERSION}")

    def _attached(self, _header: Header, _payload: bytes) -> None:
        self._owner.send(runner.FromHost(attached=runner.Attached(pid=self.pid, **self._identity)))

    def _live(self, _header: Header, _payload: bytes) -> None:
        self._outbox.flush()
        self._owner.send(runner.FromHost(live=runner.Live(**self._identity)))

    def _record(self, header: Header, payload: bytes) -> None:
        self._outbox.record(header, payload)

    def _log(self, header: Header, _payload: bytes) -> None:
        self._outbox.log(header)

    def _wait(self, header: Header, _payload: bytes) -> None:
        waiting = convert.waiting(header)
        waiting.session_id, waiting.epoch = self.start.session_id, self.start.epoch
        if waiting.busy and self.state is State.WAITING:
            self.state = State.RUNNING
        self._outbox.flush()
        self._owner.send(runner.FromHost(waiting=waiting))

    def _ask(self, header: Header, payload: bytes) -> None:
        ask = convert.ask(header, payload)
        ask.session_id, ask.epoch = self.start.session_id, self.start.epoch
        self._outbox.flush()
        self._owner.send(runner.FromHost(ask=ask))

    def _suspended(self, _header: Header, _payload: bytes) -> None:
        """It is said to the coordinator when the process is gone."""

    def _done(self, header: Header, payload: bytes) -> None:
        if self._masker is not None:
            header, payload = self._masker.done(header, payload)
        done = convert.done(header, payload)
        if done.HasField("error"):
            name_limit(done.error, self.start.limits, confined=self._confined)
        done.no = self._outbox.number(header)
        done.session_id, done.epoch = self.start.session_id, self.start.epoch
        self._last_word = None
        self._owner.send(runner.FromHost(done=done))
        self._after(self._owner.patience.exit_s, self.kill)

    _HANDLERS: ClassVar[Mapping[str, Callable[["Session", Header, bytes], None]]] = {
        "hello": _hello,
        "attached": _attached,
        "live": _live,
        "rec": _record,
        "log": _log,
        "wait": _wait,
        "ask": _ask,
        "suspended": _suspended,
        "done": _done,
    }

    # How it ends.

    def _no_more(self) -> None:
        """The runner has closed its socket, or is gone."""
        self._ended = True
        if self._process is None or self._process.exited:
            self._finish()
        else:
            self._after(self._owner.patience.exit_s, self.kill)

    def _finish(self) -> None:
        if self.over:
            return
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        self._quiet.close()
        if self._connection is not None:
            self._connection.close()
        if self._said is not None:
            self._said.close()
        if self._lingering is not None:
            self._lingering.cancel()
        if not self._silent:
            self._outbox.flush()
            self._say_last_word()
        self._owner.ended(self)

    def _say_last_word(self) -> None:
        if self._last_word is None and self.state is not State.DONE:
            self._last_word = runner.FromHost(lost=self._lost())
        if self._last_word is not None:
            if self._last_word.HasField("lost"):
                self._last_word.lost.exit_code = self._status or 0
                if self._masker is not None:
                    self._last_word.lost.reason = self._masker.text(self._last_word.lost.reason)
            self._owner.send(self._last_word)

    def _lost(self) -> runner.Lost:
        limit = self._process.limit if self._process is not None else None
        if limit is None:
            return runner.Lost(reason=self._cause(), **self._identity)
        return runner.Lost(reason=limit.reason, code=limit.code, fatal=True, **self._identity)

    def _cause(self) -> str:
        """Say how the process ended, with the last it wrote past its frames."""
        if self._process is not None and self._process.failure:
            return f"the runner could not be started: {self._process.failure}"
        cause = _how(self._status)
        said = self._said.text() if self._said is not None else ""
        if self._masker is not None:
            said = self._masker.text(said)  # as long as it is whole: of a secret that is cut, the rest is not known
        return f"{cause}: {said[-_REASON_CHARS:]}" if said else cause

    def _process_known(self) -> None:
        self._known = True
        self._pace()

    def _pace(self) -> None:
        """Read the runner, or let it wait: for its launcher, for the link, or for what it sent to be committed.

        What it sends may be there before its launcher says which process it is; its own number it does not know, in a
        process namespace.
        """
        if self._connection is None or self._ended or (self._process is not None and self._process.exited):
            return
        if not self._known or self._held or self._outbox.unacknowledged_bytes > self._owner.limits.unacked_bytes:
            self._connection.pause()
        else:
            self._connection.resume()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do this if nothing else ends the session before; the next call takes its place."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.over:
            self._timer = self._loop.call_later(seconds, action)


def _how(status: int | None) -> str:
    if status is None:
        return "the runner is gone, and so is the zygote that knew it"
    if status < 0:
        return f"the runner was killed by {_signal_name(-status)}"
    return f"the runner exited with code {status} before its session was done"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
