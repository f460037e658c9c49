"""Run a handler in a test as perdure would: recorded in a journal in memory, with crashes, with time that skips.

    from perdure import testing
    from handlers import on_order

    def test_an_order_survives_a_crash():
        outcome = testing.run(on_order, {"item": "tea"}, crash_after=3)
        assert outcome.result == {"paid": 7}

The handler runs in a process of its own, so patches made in the test do not reach it; let it talk to a local stub of
the outside world, whose address the event brings. Sleeps, time-outs and delays of a second or more end at once. Needs
the whole distribution installed (this module alone imports the standard library only).
"""

# ruff: noqa: N818 - the names are the public contract and say what happened

import asyncio
import importlib
import inspect
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["Call", "HandlerDiffers", "HandlerFailed", "Outcome", "check", "run"]

Handler = Callable[..., Any] | str
"""A top-level function of an importable file, or a target as `perdure run` takes it ("DIR:FILE.py:HANDLER")."""


class HandlerFailed(AssertionError):
    """The session did not complete."""


class HandlerDiffers(AssertionError):
    """A crash made a difference that it must not make."""


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call: `kind` is "activity", "marker", "timer", "signal" or "system"."""

    kind: str
    function: str
    args: str
    file: str
    line: int
    state: str
    attempts: int
    result: Any
    """The value where it is plain data, else its preview, a text."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a session. `state` is "completed", "failed", "stopped" or "diverged"."""

    state: str
    value: Any
    error: str
    """"TYPE: MESSAGE" of what ended it, or empty."""
    prints: list[str]
    calls: list[Call]

    @property
    def result(self) -> Any:
        """What the handler returned. Raises HandlerFailed if it did not."""
        if self.state != "completed":
            raise HandlerFailed(f"the session is {self.state}: {self.error}")
        return self.value

    def functions(self) -> list[str]:
        """The qualified names of the recorded calls, in order."""
        return [call.function for call in self.calls]


def run(
    handler: Handler,
    event: object = None,
    *,
    crash_after: int | None = None,
    signals: Mapping[str, object] | None = None,
    vars: Mapping[str, str] | None = None,  # noqa: A002 - the manifest's word
    timeout: float = 60.0,
) -> Outcome:
    """Run `handler(event)` to its end.

    crash_after: kill the runner right after this journal entry (from 1), and let the session recover.
    signals: what `perdure.next_signal` gets, by name. vars: variables of the project. timeout: seconds, for the test.

    Raises TypeError for an event or signal that is no JSON or a handler that cannot be found again by its name, and
    TimeoutError.
    """
    return _outcome(_backend("run", handler, event, signals, vars, timeout, crash_after=crash_after))


def check(
    handler: Handler,
    event: object = None,
    *,
    signals: Mapping[str, object] | None = None,
    vars: Mapping[str, str] | None = None,  # noqa: A002 - the manifest's word
    timeout: float = 300.0,
) -> Outcome:
    """As `perdure check`: run it undisturbed, then once for every journal entry with a crash right after it.

    Returns the undisturbed run's outcome. Raises HandlerDiffers, naming the lines, if any run differs; else as `run`.
    """
    document, differences = _backend("check", handler, event, signals, vars, timeout)
    if differences:
        raise HandlerDiffers("\n".join(differences))
    return _outcome(document)


def _backend(
    verb: str,
    handler: Handler,
    event: object,
    signals: Mapping[str, object] | None,
    variables: Mapping[str, str] | None,
    timeout: float,
    **more: object,
) -> Any:
    target = handler if isinstance(handler, str) else _target(handler)
    texts = {name: json.dumps(payload).encode() for name, payload in (signals or {}).items()}
    backend = importlib.import_module("perdure_server.testing")
    work = getattr(backend, verb)(target, json.dumps(event).encode(), texts, dict(variables or {}), timeout, **more)
    return _complete(work)


def _target(handler: Callable[..., Any]) -> str:
    """ "DIR:FILE.py:NAME" of a top-level function; DIR is where its outermost package, or its file, lies."""
    name = handler.__qualname__
    file = inspect.getsourcefile(handler)
    if not file or not name.isidentifier():
        _refuse(handler)
    path = Path(file).resolve()
    root = path.parent
    while (root / "__init__.py").exists():
        root = root.parent
    return f"{root}:{path.relative_to(root)}:{name}"


def _refuse(handler: object) -> NoReturn:
    raise TypeError(f"{handler!r} is no top-level function of a file: a runner could not find it by its name")


def _complete(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, also where the test itself runs in an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    done: list[Any] = []
    failed: list[BaseException] = []

    def in_thread() -> None:
        try:
            done.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            failed.append(error)

    thread = threading.Thread(target=in_thread, name="perdure.testing")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _outcome(document: dict[str, Any]) -> Outcome:
    error = document["error"]
    return Outcome(
        document["state"],
        document["result"],
        f"{error['type']}: {error['message']}" if error else "",
        document["prints"],
        [Call(**{name: each[name] for name in Call.__slots__}) for each in document["activities"]],
    )
