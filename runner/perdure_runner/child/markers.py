"""Markers: values that are cheap, local and different each time (clocks, random numbers, looks at live objects)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from perdure import _runtime

from perdure_runner.child import kept
from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.callers import Callers
from perdure_runner.child.calls import Calls, time_ns
from perdure_runner.child.effects.given import NOTHING, Given
from perdure_runner.child.outcomes import Outcomes
from perdure_runner.child.patching.sites import SiteInfo
from perdure_runner.child.replay import Call, Form, Kind, Replay, Run
from perdure_runner.child.values.fingerprint import OF_NOTHING, fingerprint_call, only_atoms
from perdure_runner.child.values.plain import is_short

_running_loop = asyncio._get_running_loop  # noqa: SLF001 - asyncio exports it for C code: no exception where there is none
_getframe = sys._getframe  # noqa: SLF001 - kept: programs put others in its place
_inhibited = _runtime.inhibit.get


class Markers:
    """Makes the markers of a session."""

    def __init__(self, calls: Calls, callers: Callers) -> None:
        self._calls = calls
        self._lanes = calls.lanes
        self._here = calls.lanes.here
        self._link = calls.link
        self._callers = callers
        self._known = callers.known

    @speaks_for_others
    def make(
        self,
        name: str,
        f: Callable[..., Any],
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The marker `f(*args, **kwargs)`, called `name` in the journal.

        Most are a clock's or a generator's number, in the midst of new calls: nothing but what those need is done here.
        """
        calls = self._calls
        strand = self._here.strand
        if (strand is None or strand.depth or _inhibited()) and not calls.refusal:
            return f(*args, **kwargs)
        given, digest = NOTHING, OF_NOTHING
        if args or kwargs:
            given, digest = _given(args, kwargs)
        if site is None:
            frame = _getframe(2)
            known = self._known.get((id(frame.f_code), frame.f_lasti))
            site = known[1] if known and known[0] is frame.f_code else self._callers.site(frame)
        if not calls.goes_on():
            return self._make(name, f, site, args, kwargs, given, digest)
        assert strand is not None
        lane = strand.lane if _running_loop() is None else self._lanes.calling(name)
        ordinal = calls.place(lane, site)
        if given is not NOTHING:
            given.watch()
        began_ns = time_ns()
        try:
            strand.depth += 1
            try:
                value = f(*args, **kwargs)
            finally:
                strand.depth -= 1
        except BaseException as error:
            call = Call(lane.name, ordinal, Form.MARKER, name, digest.hex(), "", site)
            Outcomes(calls, call, Kind.MARKER, given, (f, args, kwargs)).raised(error, began_ns)
            raise
        if given is NOTHING and (value - value == 0.0 if type(value) is float else is_short(value)):
            marks = self._link.kept
            marks.append((lane.name, name, site, ordinal, digest, began_ns, time_ns(), value))
            if len(marks) >= kept.MOST:
                self._link.write_kept()
            return value
        call = Call(lane.name, ordinal, Form.MARKER, name, digest.hex(), "", site)
        return Outcomes(calls, call, Kind.MARKER, given, (f, args, kwargs)).returned(value, began_ns)

    @speaks_for_others
    def _make(
        self,
        name: str,
        f: Callable[..., Any],
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        given: Given,
        digest: bytes,
    ) -> Any:
        """The same where there may be something to repeat, or to heed first."""
        calls = self._calls
        call, decision = calls.begin(Form.MARKER, name, site, args, kwargs, digest)
        outcomes = Outcomes(calls, call, Kind.MARKER, given, (f, args, kwargs))
        if isinstance(decision, Replay):
            return outcomes.replayed(decision.row)
        assert isinstance(decision, Run)
        calls.refuse_if_stopping(call, Kind.MARKER)
        given.watch()
        began_ns = time_ns()
        try:
            with self._lanes.free():
                value = f(*args, **kwargs)
        except BaseException as error:
            outcomes.raised(error, began_ns)
            raise
        return outcomes.returned(value, began_ns)


def _given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Given, bytes]:
    if only_atoms(map(type, args)) and only_atoms(map(type, kwargs.values())):
        return NOTHING, fingerprint_call(args, kwargs)
    given = Given(args, kwargs)
    return given, given.digest
