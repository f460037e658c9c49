"""Sessions that a session starts, waits for and signals."""

# ruff: noqa: N818 - the names are the public contract and say what happened

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from perdure import _runtime
from perdure._durations import seconds_of
from perdure._errors import Error, NotInSession
from perdure._runtime import Runtime
from perdure._values import plain

OnParentEnd = Literal["abandon", "terminate", "request_cancel"]

_RUNNING: Final = "running"
_ended: dict[str, "ChildOutcome"] = {}  # of this session; every replay comes to the same


class ChildFailed(Error):
    """A child did not complete, or returned what JSON cannot say. `outcome` tells all that is known."""

    __module__ = "perdure"
    help = "`perdure sessions show ID` shows the child."

    def __init__(self, message: str = "", *, outcome: "ChildOutcome | None" = None, help: str | None = None) -> None:  # noqa: A002 - as Error's
        super().__init__(message, help=help)
        self.outcome = outcome


@dataclass(frozen=True)
class ChildOutcome:
    """How a child ended. `state`: "completed", "failed", "stopped" or "diverged"; "running" if it has not.

    value: what its handler returned, if JSON can say that. error: "type", "message" and "code" of what ended it.
    preview: the value as a text, where it is not in `value`.
    """

    __module__ = "perdure"

    session_id: str
    state: str
    value: Any = None
    error: Mapping[str, str] | None = None
    preview: str = ""

    @property
    def completed(self) -> bool:
        """Did its handler return?"""
        return self.state == "completed"

    @property
    def result(self) -> Any:
        """What its handler returned. Raises ChildFailed if it did not, or returned what JSON cannot say."""
        if not self.completed:
            why = f": {self.error['type']}: {self.error['message']}" if self.error else ""
            raise ChildFailed(f"{self.session_id} is {self.state}{why}", outcome=self)
        if self.preview:
            raise ChildFailed(
                f"{self.session_id} returned what cannot go from session to session: {self.preview}",
                outcome=self,
                help="Let it return plain data (text, numbers, lists, dicts), and not too much of it.",
            )
        return self.value


def start(
    entry: str,
    data: Any = None,
    memo: Mapping[str, str] | None = None,
    project: str = "",
    *,
    on_parent_end: OnParentEnd = "abandon",
) -> str:
    """Start a session that runs `entry` ("file.py:handler") on `data` (JSON); returns its id. It is made exactly once.

    memo: texts kept with it. project: another project, whose active deployment it runs; else it runs this session's
    build. on_parent_end: what becomes of it when this session ends before it: it goes on ("abandon"), is killed
    ("terminate"), or is asked to stop and may clean up ("request_cancel").

    Raises RequestRefused: P0110, P0111 no such file or function, P0114 bad entry point, P0206 no such
    project, P0613 too many children. Raises NotInSession in a plain script.
    """
    body = {
        "entry": entry,
        "data": plain(data, "the data"),
        "memo": dict(memo or {}),
        "project": project,
        "on_parent_end": on_parent_end,
    }
    return str(_session("start").request("session.start", body))


def wait(children: str | Iterable[str], timeout: float | timedelta | None = None) -> list[ChildOutcome]:
    """Wait until these children have ended; how they did, in the same order. A long wait holds no process.

    Of those that have not ended when `timeout` (seconds, or a timedelta) has passed, the state is "running". Waiting
    again for one that has ended returns at once. Raises RequestRefused for a session that is no child (P0232, P0204),
    and NotInSession in a plain script.
    """
    runtime = _session("wait")
    ids, pending = _ids(children)
    limit = None if timeout is None else seconds_of("wait: timeout", timeout)
    if pending:
        deadline = Deadline(runtime.request("session.watch", {"session_ids": pending}), limit)
        for child in pending:
            if limit is not None and child is not pending[0]:
                deadline.now(runtime.request("session.watch", {"session_ids": []}))
            _note(child, runtime.next_signal((child,), deadline.left_s))
    return [_ended.get(child, ChildOutcome(child, _RUNNING)) for child in ids]


async def await_children(children: str | Iterable[str], timeout: float | timedelta | None = None) -> list[ChildOutcome]:
    """As `wait`, for async code: other tasks go on meanwhile."""
    runtime = _session("await_children")
    ids, pending = _ids(children)
    limit = None if timeout is None else seconds_of("await_children: timeout", timeout)
    if pending:
        deadline = Deadline(await runtime.request_async("session.watch", {"session_ids": pending}), limit)
        for child in pending:
            if limit is not None and child is not pending[0]:
                deadline.now(await runtime.request_async("session.watch", {"session_ids": []}))
            _note(child, await runtime.next_signal_async((child,), deadline.left_s))
    return [_ended.get(child, ChildOutcome(child, _RUNNING)) for child in ids]


def signal(session_id: str, name: str, payload: Any = None) -> None:
    """Send a signal to a session of this project, which gets it from `next_signal`. It is sent exactly once.

    Raises RequestRefused: P0204 unknown session, P0205 it has ended, P0232 it belongs to another project. Raises
    NotInSession in a plain script.
    """
    body = {"session_id": session_id, "name": name, "payload": plain(payload, "the payload")}
    _session("signal").request("session.signal", body)


class Deadline:
    """Time that is left, by the coordinator's clock: what it said is recorded, so it is the same in every replay."""

    def __init__(self, answer: Mapping[str, int], limit_s: float | None) -> None:
        self._end_us = None if limit_s is None else answer["now_us"] + round(limit_s * 1e6)
        self.now(answer)

    def now(self, answer: Mapping[str, int]) -> None:
        """It is as late as the coordinator says."""
        self.left_s = None if self._end_us is None else max(0, self._end_us - answer["now_us"]) / 1e6


def _session(what: str) -> Runtime:
    if _runtime.current is None:
        raise NotInSession(f"{what}() concerns other sessions, and this code runs in none")
    return _runtime.current


def _ids(children: str | Iterable[str]) -> tuple[list[str], list[str]]:
    """All that were named, and those of them whose end is not known yet, each once."""
    ids = [children] if isinstance(children, str) else list(children)
    for child in ids:
        if not isinstance(child, str) or not child:
            raise TypeError(f"children are named by the ids that start() returned, not by {child!r}")
    return ids, [child for child in dict.fromkeys(ids) if child not in _ended]


def _note(child: str, told: Any) -> None:
    """Keep what the signal of its end says; none came in time."""
    if told is not None:
        end = told.payload
        _ended[child] = ChildOutcome(child, end["state"], end["value"], end["error"], end.get("preview") or "")
