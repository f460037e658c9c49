"""What user code asks of the coordinator where nothing is recorded: in activities, and in sessions without a journal.

Each request is done once for each time it is asked, and a process that dies takes its question along.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Final

import perdure

from perdure_runner.child import attempts
from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.link import Link
from perdure_runner.child.values import plain

MOST_BYTES: Final = 1 << 20
"""Of a request, as JSON."""


class Direct:
    """Implements `perdure._runtime.Runtime` without a journal."""

    def __init__(self, link: Link, session_id: str = "") -> None:
        self.session_id = session_id
        self._link = link

    @speaks_for_others
    def request(self, operation: str, body: Mapping[str, Any]) -> Any:
        """Ask the coordinator, and wait for the answer."""
        header, payload = self._link.ask(operation, encode(operation, body))
        return answer(payload, refused=bool(header.get("refused")))

    async def request_async(self, operation: str, body: Mapping[str, Any]) -> Any:
        """The same, in another thread."""
        return await asyncio.to_thread(self.request, operation, body)

    def next_event(self, subscriptions: tuple[str, ...], timeout: float | None) -> perdure.Event | None:
        """As that of a session, but what was got is gone with the process."""
        return event_of(self.request("event.next", {"subscriptions": list(subscriptions), "timeout": timeout}))

    async def next_event_async(self, subscriptions: tuple[str, ...], timeout: float | None) -> perdure.Event | None:
        """The same, in another thread."""
        return await asyncio.to_thread(self.next_event, subscriptions, timeout)

    def next_signal(self, names: tuple[str, ...], timeout: float | None) -> perdure.Signal | None:
        """As that of a session, but what was got is gone with the process."""
        signal = self.request("signal.next", {"names": list(names), "timeout": timeout})
        return None if signal is None else perdure.Signal(signal["name"], signal["payload"])

    async def next_signal_async(self, names: tuple[str, ...], timeout: float | None) -> perdure.Signal | None:
        """The same, in another thread."""
        return await asyncio.to_thread(self.next_signal, names, timeout)

    def sleep(self, seconds: float) -> None:
        """An ordinary sleep."""
        attempts.real_sleep(seconds)

    def version(self, name: str, newest: int) -> int:  # noqa: ARG002 - the protocol's
        """Nothing goes on that began before a change."""
        return newest

    def activity_key(self) -> str:
        """Each call is made once."""
        return uuid.uuid4().hex

    def replaying(self) -> bool:
        """Never."""
        return False


@speaks_for_others
def encode(operation: str, body: Mapping[str, Any]) -> bytes:
    """A request as JSON. Raises perdure.UnrecordableValue, perdure.ValueTooLarge."""
    text = plain.encode_json(dict(body))
    if len(text) > MOST_BYTES:
        raise perdure.ValueTooLarge(
            f"{operation}: {len(text)} bytes of JSON are more than {MOST_BYTES}", help="Send less."
        )
    return text


@speaks_for_others
def answer(payload: bytes, *, refused: bool) -> Any:
    """What the coordinator answered, as user code gets it. Raises perdure.RequestRefused."""
    value: Any = plain.loads(payload)
    if refused:
        raise perdure.RequestRefused(value["message"], code=value["code"], help=value["help"] or None)
    return value


def event_of(value: Any) -> perdure.Event | None:
    """An event from what is written of it; None for no event."""
    return None if value is None else perdure.Event.from_json(value)
