"""Events for running sessions: what comes in from outside while the code runs."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from perdure import _runtime
from perdure._calls import Signal
from perdure._durations import seconds_of
from perdure._errors import NotInSession
from perdure._event import Event


def subscribe(source: str, filter: str = "") -> str:  # noqa: A002 - the word of the manifest
    """From now on keep the events of `source`, a trigger or a connection of the project, for `next_event`.

    filter: a CEL expression over `data`, `event_type` and `headers`; empty: every event. Returns the subscription's id.
    An event is delivered once for each subscription, in order. A subscription ends with the session, or `unsubscribe`.
    Raises NotInSession in a plain script, RequestRefused for a source that there is not (P0223), a filter that is none
    (P0105) or too many subscriptions (P0613).
    """
    if not isinstance(source, str) or not isinstance(filter, str):
        raise TypeError(f"subscribe: a source and a filter are texts, not {source!r} and {filter!r}")
    answer = _session("subscribe").request("event.subscribe", {"source": source, "filter": filter})
    return str(answer["subscription"])


def unsubscribe(subscription: str) -> None:
    """End a subscription: its events are not kept any more. Nothing happens if it has ended already."""
    _session("unsubscribe").request("event.unsubscribe", {"subscription": str(subscription)})


def next_event(
    subscriptions: str | Iterable[str], *, timeout: float | timedelta | None = None, full: bool = False
) -> Any:
    """Wait for the next event of a subscription, or of several: its `data`, or with `full` the whole `Event`.

    None when `timeout` (seconds, or a timedelta) has passed. A session that waits holds no process. Inside an activity,
    and in a session that is not durable, an event is got at most once: if the process dies then, so has the event.
    Raises NotInSession in a plain script, RequestRefused (P0223) when there is no such subscription.
    """
    names, limit = _wanted(subscriptions, timeout)
    return _shape(_session("next_event").next_event(names, limit), full=full)


async def anext_event(
    subscriptions: str | Iterable[str], *, timeout: float | timedelta | None = None, full: bool = False
) -> Any:
    """`next_event` for async code: other tasks go on meanwhile. A cancelled task leaves its event to the next."""
    names, limit = _wanted(subscriptions, timeout)
    return _shape(await _session("anext_event").next_event_async(names, limit), full=full)


async def anext_signal(*names: str, timeout: float | timedelta | None = None) -> Signal | None:
    """`next_signal` for async code: other tasks go on meanwhile."""
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"anext_signal: names are texts that are not empty, not {name!r}")
    limit = None if timeout is None else seconds_of("anext_signal: timeout", timeout)
    return await _session("anext_signal").next_signal_async(names, limit)


def _session(function: str) -> _runtime.Runtime:
    if _runtime.current is None:
        raise NotInSession(f"{function}() is about what is sent to a session, and this code runs in none")
    return _runtime.current


def _wanted(
    subscriptions: str | Iterable[str], timeout: float | timedelta | None
) -> tuple[tuple[str, ...], float | None]:
    names = (subscriptions,) if isinstance(subscriptions, str) else tuple(subscriptions)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise TypeError(
            f"next_event: subscriptions are what subscribe() has returned, one or more, not {subscriptions!r}"
        )
    return names, None if timeout is None else seconds_of("next_event: timeout", timeout)


def _shape(event: Event | None, *, full: bool) -> Any:
    return event if full or event is None else event.data
