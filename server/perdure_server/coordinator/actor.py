"""A session in memory: its state, and what is done about every effect of `core.session.step`.

Only sessions that have or want a runner are in memory. A suspended one is rows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from perdure_proto.v1 import journal_pb2 as pb
from perdure_proto.v1.runner_pb2 import ToHost

from perdure_server.coordinator.clock import Handle
from perdure_server.coordinator.doing import DO
from perdure_server.coordinator.hosts import Connection
from perdure_server.coordinator.waits import Given, OpenWaits
from perdure_server.coordinator.writer import Writer
from perdure_server.core import events as ev
from perdure_server.core.errors import PerdureError
from perdure_server.core.session import step
from perdure_server.core.state import Phase, Resolving, Runner, SessionState, WaitPoint
from perdure_server.store import SIGNAL_HELD_BYTES, SessionRecord, SignalRow

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


class Actor:
    """One session. `handle` is the only way in; it never blocks and may be called from its own effects."""

    def __init__(
        self,
        coordinator: Coordinator,
        record: SessionRecord,
        state: SessionState,
        *,
        waits: OpenWaits | None = None,
        signals: Sequence[SignalRow] = (),
        log_bytes: int = 0,
    ) -> None:
        self.coordinator = coordinator
        self.record = record
        self.session_id = record.session_id
        self.state = state
        self.build = coordinator.builds.at_hand(record.build_id)
        self.limits = self.build.limits
        self.connection: Connection | None = None
        self.pid = 0
        self.waits = waits or OpenWaits()
        self.signals = list(signals)  # without what is long: a session may have thousands of children
        self.last_signal = max((signal.n for signal in signals), default=0)
        self.committed_seq = state.next_seq - 1
        self.unborn: SessionRecord | None = None  # its row is still to be inserted, with the first placement
        self.dropped = False
        self.knows_secrets = False  # its runner got some: what it records is sealed
        self.writer = Writer(self, log_bytes)
        self._alarms: dict[str, Handle] = {}
        self._inbox: deque[tuple[ev.Event, Any, Connection | None]] = deque()
        self._busy = False
        self.refusal: PerdureError | None = None
        self.resolution: pb.Entry | None = None
        self.acknowledgement: tuple[int, int] | None = None
        self.asked: set[asyncio.Task[None]] = set()  # answers to questions past the journal, under way

    # The way in.

    def handle(self, event: ev.Event, message: Any = None, origin: Connection | None = None) -> None:
        """Let `event` happen. `message` and `origin` are what it came with, if it came from a host."""
        self._inbox.append((event, message, origin))
        if self._busy:
            return
        self._busy = True
        try:
            while self._inbox and not self.dropped:
                self._turn(*self._inbox.popleft())
        finally:
            self._busy = False

    def ask(self, event: ev.Event) -> None:
        """Let somebody's request happen; raises `PerdureError` when the session refuses it."""
        self.refusal = None
        self.handle(event)
        if self.refusal is not None:
            raise self.refusal

    def _turn(self, event: ev.Event, message: Any, origin: Connection | None) -> None:
        before = self.state
        self.state, effects = step(before, event, self.coordinator.settings.rules)
        for effect in effects:
            DO[type(effect)](self, effect, message, origin)
        if self.state.phase is not before.phase:
            self._phase_changed(before.phase)
        if self.state.waits is not before.waits:
            self.look_for_signal()
            self.look_for_event()

    def _phase_changed(self, before: Phase) -> None:
        if before is Phase.WAITING:
            self.disarm("suspend")
            self.coordinator.timers.disarm(self.session_id)
        if not self.state.phase.ended:
            self.coordinator.publish_session(self)

    def look_for_signal(self) -> None:
        """A signal that came before a wait ends it at once."""
        waits = [wait for wait in self.state.waits if wait.signals is not None]
        for wait in waits:
            if (left := self.waits.left_for(wait)) is not None:
                self.handle(ev.SignalArrived(left.resolution.name))
                return
        if early := next((s for s in self.signals if any(wait.takes(s.name) for wait in waits)), None):
            self.handle(ev.SignalArrived(early.name))

    def take_signal(self, wait: WaitPoint) -> Given:
        """The first signal for this wait, which there is."""
        if (left := self.waits.left_for(wait)) is not None:
            return Given(left.resolution.name, left.resolution.payload.data)
        signal = next(s for s in self.signals if wait.takes(s.name))
        self.signals.remove(signal)
        payload = signal.payload
        if payload is None:
            payload = self.coordinator.store.signal_payload(self.session_id, signal.n)
        return Given(signal.name, payload, signal=signal.n)

    def timer_due(self) -> None:
        """Time has passed. What has come before a deadline counts: an event that is being looked for is found first."""
        if not self.coordinator.subscriptions.looks(self.session_id):
            self.handle(ev.TimerDue(self.coordinator.clock.now_us()))

    def look_for_event(self) -> None:
        """An event that came before a wait for it, or another that was not taken, ends it soon."""
        if any(wait.subscriptions for wait in self.state.waits):
            self.coordinator.subscriptions.look(self.session_id)

    def waited(self) -> list[pb.Entry]:
        """The rows of what the session waits for."""
        rows = (self.waits.get(wait.lane, wait.ordinal) for wait in self.state.waits)
        return [row for row in rows if row is not None]

    def signal_stored(self, signal: SignalRow) -> None:
        """A signal is durable and not consumed; loading may have seen it before."""
        if signal.n > self.last_signal:
            self.last_signal = signal.n
            held = signal.payload is None or len(signal.payload) <= SIGNAL_HELD_BYTES
            self.signals.append(signal if held else replace(signal, payload=None))
            self.coordinator.subscriptions.ring(self.session_id)
            self.handle(ev.SignalArrived(signal.name))

    # Alarms: at most one of a name.

    def arm(self, name: str, after_s: float, callback: Callable[[], None]) -> None:
        self.disarm(name)
        clock = self.coordinator.clock
        self._alarms[name] = clock.call_at(clock.now_us() + int(after_s * 1e6), callback)

    def disarm(self, name: str) -> None:
        if (alarm := self._alarms.pop(name, None)) is not None:
            alarm.cancel()

    def arm_event(self, name: str, after_s: float, event: ev.Event) -> None:
        if after_s:
            self.arm(name, after_s, lambda: self.handle(event))
        else:
            self.handle(event)

    # Leaving memory.

    def settle(self) -> None:
        """Leave memory if the session is suspended and all its rows are durable."""
        state = self.state
        at_rest = state.phase is Phase.WAITING and state.runner is Runner.NONE and state.resolving is Resolving.NO
        busy = self._inbox or not self.writer.idle or self.coordinator.subscriptions.looks(self.session_id)
        if at_rest and not self.dropped and not busy:
            self.coordinator.timers.release(self.session_id)
            self.drop()

    def drop(self) -> None:
        """Forget the session; nothing that is still on its way reaches it."""
        self.dropped = True
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()
        for task in self.asked:
            task.cancel()
        self.detach(self.state.epoch)
        self.coordinator.remove(self)

    def detach(self, epoch: int) -> None:
        if self.connection is not None:
            self.coordinator.placement.released(self.connection, self.session_id, epoch)
        self.connection, self.pid = None, 0

    # Sending.

    def acknowledge_soon(self, epoch: int, no: int) -> None:
        """Acknowledge when the rest of the transaction has been told, too."""
        if self.acknowledgement is None:
            self.coordinator.soon(self._acknowledge_now)
        self.acknowledgement = (epoch, no)

    def _acknowledge_now(self) -> None:
        if self.acknowledgement is not None:
            epoch, no = self.acknowledgement
            self.acknowledgement = None
            self.handle(ev.Committed(epoch, no))

    def send(self, message: ToHost) -> None:
        if self.connection is not None:
            self.connection.send(message)
