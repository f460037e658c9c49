"""One session, from the first frame to the last: what a forked runner does.

Errors are the user's (they become the session's outcome) or ours (the process ends with `FAULT` and its traceback on
the real stderr; the coordinator tries again and, if that does not help, says that it was us).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import inspect
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

import perdure
from perdure import _runtime

from perdure_runner.child import (
    blame,
    environment,
    forks,
    ground,
    handing,
    handles,
    loading,
    missing,
    output,
    pages,
    rehearsal,
    relay,
    restore,
    sharing,
)
from perdure_runner.child.ancestry import Ancestry
from perdure_runner.child.callers import Callers
from perdure_runner.child.calls import About, Calls, Debug
from perdure_runner.child.direct import Direct
from perdure_runner.child.lanes import ordered, watch
from perdure_runner.child.lanes.lanes import Lanes
from perdure_runner.child.lanes.locks import Keeper
from perdure_runner.child.lanes.threads import Threads
from perdure_runner.child.link import Link
from perdure_runner.child.patching import hook
from perdure_runner.child.place import Place
from perdure_runner.child.policy.policy import Policy
from perdure_runner.child.policy.rules import Rules
from perdure_runner.child.recorder import Recorder
from perdure_runner.child.replay import History
from perdure_runner.child.signals import Signals
from perdure_runner.child.values import codec

FAULT = 70
"""Exit code of a runner with a fault of ours (EX_SOFTWARE of sysexits.h)."""


def prepare() -> None:
    """Do what all sessions need, once, in the zygote that they are forked from."""
    ground.prepare()
    rehearsal.rehearse(main)


def learn() -> Sequence[pages.Span]:
    """Which memory of this process, a zygote, a session writes to until it first waits; empty if that is not known."""
    with (
        contextlib.suppress(OSError),
        tempfile.TemporaryDirectory(prefix="perdure-", ignore_cleanup_errors=True) as cache,
    ):
        pages.learn(lambda end: rehearsal.begin(main, cache, end))  # its code is compiled now, and read the next time
        return pages.learn(lambda end: rehearsal.begin(main, cache, end))
    return ()


def main(sock: socket.socket, debug: Debug | None = None) -> int:
    """Run or replay the session that arrives on `sock`. Returns the process's exit code.

    Args:
        sock: a connected stream socket whose other end speaks docs/explanation/architecture.md.
        debug: called where a read-only replay stops.
    """
    link = Link(sock)
    link.hello()
    start, _ = link.expect("start")
    link.trust(start.get("lease", 0.0))
    history = _receive_history(link, Ancestry(start["session"], start.get("shared", ())))
    try:
        session = _Session(link, start, history, debug)
    except Exception:  # noqa: BLE001 - nothing of the user's has run yet: ours
        traceback.print_exc()
        return FAULT
    return session.run()


def _receive_history(link: Link, ancestry: Ancestry) -> History:
    history = History(ancestry)
    while True:
        header, payload = link.expect("hist")
        offset = 0
        for row in header["e"]:
            if size := row.get("n", 0):
                row["data"] = payload[offset : offset + size]
                offset += size
            history.add(row)
        if header["last"]:
            return history


class _Session:
    """The process, prepared for one session's code."""

    def __init__(self, link: Link, start: dict[str, Any], history: History, debug: Debug | None) -> None:
        self._link = link
        self._start = start
        self._debug = debug
        self._root = os.path.realpath(start["code"])
        tree = hook.UserTree(self._root)
        self.is_user_file = functools.lru_cache(maxsize=None)(tree.owns)
        self.relative = tree.relative
        restore.run_in(self._root)
        limits = start.get("limits") or {}
        self._values = codec.Codec(bytes.fromhex(start["key"]), limits.get("payload_bytes") or codec.DEFAULT_MAX_BYTES)
        os.environ.clear()
        os.environ.update(base_environment(self._root), **relay.variables(start.get("proxied", False)))
        os.environ.update(start.get("vars", {}))
        os.chdir(self._root)
        environment.enter(self._root, start.get("environment") or "")
        sys.argv = [start["entry"].partition(":")[0]]
        sys.dont_write_bytecode = True
        self._calls: Calls | None = None
        self._threads: Threads | None = None
        self._loaded = False
        recorder = self._durable(history) if start.get("durable", True) else None
        if recorder is None:
            _runtime.current = Direct(link, start["session"])
            sharing.keep_listening()
        line_bytes = limits.get("log_line_bytes") or 65536
        logged = tuple(start.get("logged") or (0, -1))
        out = output.Output(link, recorder.place if recorder else Place, logged, line_bytes, self._several)
        self._streams = output.install(out)
        forks.watch(link, self._calls and self._calls.lanes)
        if recorder:
            recorder.end_lines = self._end_lines

    def _watch_threads(self) -> None:
        calls = self._calls
        assert calls is not None
        scheduler = calls.scheduler

        def progress() -> object:
            return (scheduler.turns, calls.ordinal) if scheduler.someone_is_ready() else None

        watch.begin(watch.Watch(progress), self._stuck)

    def _stuck(self) -> None:
        assert self._calls is not None
        holder = self._calls.scheduler.holder
        frame = watch.frame_of(holder)
        while frame is not None and not self.is_user_file(frame.f_code.co_filename):
            frame = frame.f_back
        place = f"{self.relative(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else "an unknown place"
        error = perdure.ConcurrencyError(
            f"lane {holder.lane.name} has run for {watch.PATIENCE_S:.0f} s at {place} without a call, while other "
            "threads wait for their turn; wait for them with join, a lock, an event or a queue"
        )
        self._refuse(error)

    def _refuse(self, error: perdure.ConcurrencyError) -> NoReturn:
        """End the session where user code is: no exception can be raised there that it would not lose."""
        assert self._calls is not None
        self._calls.leave("failed", err=codec.error_info(error, self.is_user_file, self.relative))

    def _refuse_later(self, error: perdure.ConcurrencyError) -> None:
        assert self._calls is not None
        self._calls.lanes.failure = self._calls.lanes.failure or error
        self._calls.collector.refuse_next(error)

    def _several(self) -> bool:
        return self._calls is not None and self._calls.ordinal > self._calls.lanes.main.lane.ordinal

    def _durable(self, history: History) -> Recorder:
        rules = Rules(self._start.get("rules") or [])
        policy = Policy(self.is_user_file, no_activity=(*rules.no_activity,))
        about = About(bool(self._start.get("replay_only")), self._debug)
        begin_us = _microseconds(self._start.get("created_at") or "")
        self._calls = Calls(about, self._link, history, self._values, Lanes(), begin_us)
        recorder = Recorder(history.ancestry, self._calls, policy, rules, Callers(self.is_user_file, self.relative))
        self._calls.references = table = handles.Table(self._calls, recorder, policy)
        recorder.unwrap = table.unwrap
        _runtime.current = recorder
        hook.install(self._root, self._start.get("cache") or None, recorder, policy)
        ground.install(recorder)
        calls = self._calls
        keeper = Keeper(calls.scheduler, calls.lanes, calls.is_live, calls.cancelled)
        calls.scheduler.on_second = self._watch_threads
        calls.collector.install(self._refuse)
        Signals(self._link, calls.lanes.is_free, self.is_user_file, self._refuse, self._refuse_later)
        self._threads = Threads(keeper, recorder.direct, self.is_user_file)
        ordered.number_futures(recorder.direct)
        ordered.begin_in_order()
        return recorder

    def run(self) -> int:
        """Load the module, call the handler, send its outcome. Returns the exit code."""
        self._link.say("attached")
        state = "completed"
        outcome: Any = None
        error: BaseException | None = None
        try:
            outcome = self._call_handler()
            if self._threads:
                self._threads.finish()
        except perdure.Cancelled as stop:
            state, error = "stopped", stop
        except BaseException as failure:  # noqa: BLE001 - user code's
            if _is_ours(failure):
                traceback.print_exc(file=os.fdopen(2, "w", closefd=False))
                return FAULT
            state, error = _ending(failure)
            if self._debug and error:
                self._debug(error)
        atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter does at its end, which never comes: `os._exit`
        if self._calls and state == "completed":
            try:
                self._calls.end()
            except perdure.ConcurrencyError as refused:
                state, error = "failed", refused
        self._send(state, outcome, error)
        return 0

    def _call_handler(self) -> Any:
        module_name, handler_name = loading.parse_entry(self._start["entry"])
        module = loading.load(module_name, self._root)
        self._loaded = True
        handler = loading.find(module, handler_name)
        arguments, keywords = handing.arguments(handler, self._start, perdure.session_id() or "")
        result = handler(*arguments, **keywords)
        if inspect.iscoroutine(result):
            import asyncio

            return asyncio.run(result)
        return result

    def _send(self, state: str, outcome: Any, error: BaseException | None) -> None:
        if state == "completed":
            try:
                encoded = self._values.encode(outcome)
            except perdure.ValueTooLarge as refused:
                # nobody may take it for a handler that returned nothing: neither people nor a parent that waits
                text = f"what the handler returned cannot be kept: {refused}"
                state, error = "failed", perdure.ValueTooLarge(text, help=refused.help)
            except perdure.Error as refused:
                # a live object is no reason to lose the session: there is no value, but people get its preview
                shown = codec.preview(outcome)
                encoded = self._values.encode(shown, as_json=False)._replace(preview=shown)
                self._streams[1].write(f"perdure: the result is kept as its preview only: {refused}\n")
        fields: dict[str, Any] = {"state": state}
        payload = b""
        if error is None:
            fields |= {"enc": encoded.encoding, "mac": encoded.mac.hex(), "pv": encoded.preview}
            payload = encoded.data
        else:
            fields["err"] = codec.error_info(error, self.is_user_file, self.relative)
            if not (self._loaded or fields["err"]["code"]):
                help_ = "A module failed while it was loaded: the handler never began."
                fields["err"] |= {"code": "P0302", "help": help_}
            elif isinstance(error, ModuleNotFoundError) and error.name:
                fields["err"] |= {"code": "P0301", "help": missing.remedy(error, self._root)}
            if self._calls:
                fields |= self._calls.failed_early()
        self._end_lines()
        self._link.done(fields, payload)

    def _end_lines(self) -> None:
        for stream in self._streams:
            stream.finish()


def base_environment(root: str) -> dict[str, str]:
    """What a session's environment holds besides the project's variables; the same on every host."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": root, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def _microseconds(timestamp: str) -> int:
    """Unix time of a timestamp as the coordinator writes them; 0 for none."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1e6) if timestamp else 0


def _ending(failure: BaseException) -> tuple[str, BaseException | None]:
    if isinstance(failure, SystemExit) and failure.code in {None, 0}:
        return "completed", None
    return "failed", failure


def _is_ours(failure: BaseException) -> bool:
    """Whether an exception arose in perdure's own code without being meant for the user."""
    if isinstance(failure, (perdure.Error, perdure.Cancelled)) or loading.is_about_user_code(failure):
        return False
    return blame.is_ours(failure)
