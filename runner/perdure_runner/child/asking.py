"""What user code asks of the coordinator: signals, events, and requests, which it answers.

Where calls are recorded, each is a WAIT in the journal whose end only the coordinator writes.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import perdure

from perdure_runner.child import direct, turn
from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.callers import Callers
from perdure_runner.child.calls import Calls, time_ns
from perdure_runner.child.replay import Call, Decision, Form, How, Kind, Row, Run, WaitKind
from perdure_runner.child.values import codec
from perdure_runner.child.values.codec import JSON

_getframe = sys._getframe  # noqa: SLF001 - kept: programs put others in its place
Begun = tuple[Call, Decision]


class Asking:
    """The part of `perdure._runtime.Runtime` that waits."""

    def __init__(self, calls: Calls, callers: Callers) -> None:
        self._calls = calls
        self._callers = callers
        self._direct = direct.Direct(calls.link)

    @abstractmethod
    def direct(self) -> bool:
        """True where calls are not recorded."""

    # ---- timers

    @speaks_for_others
    def sleep(self, seconds: float) -> None:
        """A durable timer. Inside an activity: an ordinary sleep."""
        if self.direct():
            self._direct.sleep(seconds)
            return
        begun = self._begin(Form.TIMER, "time.sleep", (seconds,), {"wk": int(WaitKind.TIMER), "fires": _due(seconds)})
        self._calls.wait(*begun)

    # ---- signals

    @speaks_for_others
    def next_signal(self, names: tuple[str, ...], timeout: float | None) -> perdure.Signal | None:
        """The next signal of one of these names; None when `timeout` seconds have passed without one."""
        self._refuse_inside("next_signal()")
        return self._signal(self._calls.wait(*self._begin_signal(names, timeout)))

    @speaks_for_others
    async def next_signal_async(self, names: tuple[str, ...], timeout: float | None) -> perdure.Signal | None:
        """The same; other tasks go on meanwhile."""
        self._refuse_inside("anext_signal()")
        return self._signal(await turn.turns_of_task(self._calls).wait(*self._begin_signal(names, timeout)))

    def _refuse_inside(self, call: str) -> None:
        """A signal is taken once, and an activity may have several attempts."""
        if self.direct():
            raise perdure.Error(f"{call} waits, and so cannot be called inside an activity")

    def _begin_signal(self, names: tuple[str, ...], timeout: float | None) -> Begun:
        wait = {"wk": int(WaitKind.SIGNAL), "names": list(names), "fires": _due(timeout)}
        return self._begin(Form.SIGNAL, "perdure.next_signal", (*names, timeout), wait)

    def _signal(self, row: Row) -> perdure.Signal | None:
        if row["how"] != How.SIGNALLED:
            return None
        return perdure.Signal(row.get("name", ""), self._calls.values.decode_json(row.get("data", b"")))

    # ---- events

    @speaks_for_others
    def next_event(self, subscriptions: tuple[str, ...], timeout: float | None) -> perdure.Event | None:
        """The next event of one of these subscriptions; None when `timeout` seconds have passed without one."""
        if self.direct():
            return self._direct.next_event(subscriptions, timeout)
        return self._event(self._calls.wait(*self._begin_event(subscriptions, timeout)))

    @speaks_for_others
    async def next_event_async(self, subscriptions: tuple[str, ...], timeout: float | None) -> perdure.Event | None:
        """The same; other tasks go on meanwhile."""
        if self.direct():
            return await self._direct.next_event_async(subscriptions, timeout)
        return self._event(await turn.turns_of_task(self._calls).wait(*self._begin_event(subscriptions, timeout)))

    def _begin_event(self, subscriptions: tuple[str, ...], timeout: float | None) -> Begun:
        wait = {"wk": int(WaitKind.EVENT), "names": list(subscriptions), "fires": _due(timeout)}
        return self._begin(Form.EVENT, "perdure.next_event", (*subscriptions, timeout), wait)

    def _event(self, row: Row) -> perdure.Event | None:
        if row["how"] == How.TIMED_OUT:
            return None
        return direct.event_of(_answer(row))

    # ---- requests

    @speaks_for_others
    def request(self, operation: str, body: Mapping[str, Any]) -> Any:
        """Have the coordinator do `operation`, once, and return its answer."""
        if self.direct():
            return self._direct.request(operation, body)
        return _answer(self._calls.wait(*self._begin_request(operation, body)))

    @speaks_for_others
    async def request_async(self, operation: str, body: Mapping[str, Any]) -> Any:
        """The same; other tasks go on meanwhile."""
        if self.direct():
            return await self._direct.request_async(operation, body)
        return _answer(await turn.turns_of_task(self._calls).wait(*self._begin_request(operation, body)))

    def _begin_request(self, operation: str, body: Mapping[str, Any]) -> Begun:
        text = direct.encode(operation, body)
        wait = {"wk": int(WaitKind.REQUEST), "names": [operation], "enc": JSON, "size": len(text)}
        return self._begin(Form.REQUEST, f"perdure.{operation}", (dict(body),), wait, text)

    # ---- all of them

    @speaks_for_others
    def _begin(self, form: Form, function: str, args: tuple[Any, ...], wait: Row, payload: bytes = b"") -> Begun:
        """The call's place in the journal, and its row there, if it is new. Raises perdure.Cancelled."""
        call, decision = self._calls.begin(form, function, self._callers.site(_getframe()), args, {})
        if isinstance(decision, Run):
            self._calls.refuse_if_stopping(call, Kind.SYSTEM)
            if payload:
                call.args = codec.preview_call(args, {})
            self._calls.put(call, Kind.WAIT, wait, payload, sync=True)
        return call, decision


def _due(seconds: float | None) -> int:
    """When so many seconds have passed, in microseconds of Unix time; 0: never."""
    return 0 if seconds is None else time_ns() // 1000 + round(seconds * 1e6)


def _answer(row: Row) -> Any:
    return direct.answer(row.get("data", b""), refused=row["how"] == How.REFUSED)
