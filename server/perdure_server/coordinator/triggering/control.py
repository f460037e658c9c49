"""What clients can ask about events and triggers: one method per rpc."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator.starting import project_of
from perdure_server.coordinator.triggering import describing
from perdure_server.coordinator.triggering.live import Armed, Event, Live, sources, unknown_source
from perdure_server.core import integrations, jsontext, their_slack
from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Accepted, Incoming
from perdure_server.store import DispatchRow, EventRow, Transaction
from perdure_server.store.events import COMPLETED, DEAD, DROPPED, FAILED, PENDING, STARTED

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

STATES: Final = (PENDING, STARTED, COMPLETED, FAILED, DROPPED, DEAD)
_PAGE: Final = 100
_LARGEST_PAGE: Final = 1_000
_TEXT_CHARS: Final = 256  # of a source, a type, a mark
_MEMO: Final = 64  # entries


class TriggerControl:
    """Part of `Control`."""

    _c: Coordinator

    async def send_event(self, request: pb.SendEventRequest) -> pb.Event:
        """Raises P0103, P0201 data is no JSON, P0206, P0223 no such source, P0231 too large."""
        project = project_of(self._c, request.project)
        live = await self._live(project)
        await self._c.dispatcher.live.check_source(project, request.source)
        for name, text in (("event_type", request.event_type), ("dedup", request.dedup)):
            if len(text) > _TEXT_CHARS:
                raise PerdureError("P0103", f"{name} has more than {_TEXT_CHARS} characters")
        if len(request.memo) > _MEMO or any(len(k) + len(v) > 4 * _TEXT_CHARS for k, v in request.memo.items()):
            raise PerdureError("P0103", f"a memo has at most {_MEMO} entries of {4 * _TEXT_CHARS} characters")
        incoming = Incoming(
            project=project,
            source=request.source,
            source_type="manual",
            event_type=request.event_type,
            data=await self._full(live, request.source, request.event_type, self._json(request.data)),
            memo=dict(request.memo),
            dedup=request.dedup,
        )
        return await self._sent(await self._c.dispatcher.accept(incoming))

    async def list_events(self, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
        """Newest first, without data. P0103 when there is no such state."""
        if request.state and request.state not in STATES:
            raise PerdureError("P0103", f"there is no state {request.state!r}", help=", ".join(STATES))
        limit = min(request.limit or _PAGE, _LARGEST_PAGE)
        return await asyncio.to_thread(self._page, request, limit)

    def _page(self, request: pb.ListEventsRequest, limit: int) -> pb.ListEventsResponse:
        rows = self._c.store.events(request.project, request.source, request.state, limit, request.before_seq)
        events = [_message(row, self._c.store.dispatches(row.seq)) for row in rows]
        return pb.ListEventsResponse(events=events, next=rows[-1].seq if len(rows) == limit else 0)

    async def get_event(self, request: pb.GetEventRequest) -> pb.Event:
        """With what subscriptions had of it. P0222 when there is none."""
        event = await self._known(request.event_id)
        message = await self._told(event)
        deliveries = await self._c.deliveries.of(event)
        message.deliveries.extend(deliveries.found)
        message.deliveries_cut = not deliveries.complete
        return message

    async def redispatch_event(self, request: pb.RedispatchEventRequest) -> pb.Event:
        """The same event again, as a new one; what was dead of it is failed from now on. P0222, P0223, P0206."""
        event = await self._known(request.event_id)
        live = await self._live(event.project)
        if request.trigger and request.trigger not in live.by_name:
            raise unknown_source(request.trigger, sources(live.deployment))
        incoming = Incoming(
            project=event.project,
            source=event.source,
            source_type=event.source_type,
            event_type=event.event_type,
            data=event.data,
            memo={**event.memo, "redispatch_of": event.event_id},
        )

        def no_longer_dead(transaction: Transaction) -> None:
            for row in transaction.dispatches(event.seq):
                if row.state == DEAD and request.trigger in {"", row.trigger_name}:
                    transaction.put_dispatch(replace(row, state=FAILED, reason=f"dispatched again; {row.reason}"))

        accepted = await self._c.dispatcher.accept(incoming, only=request.trigger, also=no_longer_dead)
        return await self._sent(accepted)

    async def list_triggers(self, request: pb.ListTriggersRequest) -> pb.ListTriggersResponse:
        """Those of active deployments: of one project, or of all."""
        projects = [request.project] if request.project else await asyncio.to_thread(self._c.store.projects)
        found = [each for project in projects for each in await describing.messages(self._c, project)]
        return pb.ListTriggersResponse(triggers=found)

    async def test_trigger(self, request: pb.TestTriggerRequest) -> pb.TestTriggerResponse:
        """Which triggers an event would start. P0201, P0206, P0223."""
        project = project_of(self._c, request.project)
        live = await self._live(project)
        if request.trigger and request.trigger not in live.by_name:
            raise unknown_source(request.trigger, sources(live.deployment))
        row = EventRow("", project, "", "manual", request.event_type, 0, self._json(request.data))
        tested = [armed for name, armed in sorted(live.by_name.items()) if request.trigger in {"", name}]
        events = {
            source: Event(replace(row, data=await self._full(live, source, row.event_type, row.data)))
            for source in {armed.source for armed in tested}
        }
        return pb.TestTriggerResponse(verdicts=[_verdict(armed, events[armed.source]) for armed in tested])

    # What they share.

    async def _live(self, project: str) -> Live:
        live = await self._c.dispatcher.live.of(project)
        if live is None:
            raise PerdureError(
                "P0206", f"project {project!r} has no active deployment", help="`perdure deploy DIR` makes one live"
            )
        return live

    def _json(self, data: bytes) -> bytes:
        if len(data) > self._c.settings.event_bytes:
            raise PerdureError("P0231", f"the event has {len(data)} bytes, more than {self._c.settings.event_bytes}")
        try:
            jsontext.parse(data or b"null")
        except ValueError as error:
            raise PerdureError("P0201", f"the event's data is no JSON: {error}") from None
        return data or b"null"

    async def _full(self, live: Live, source: str, event_type: str, data: bytes) -> bytes:
        """The data as it would be had the service itself sent the event: see `their_slack`."""
        deployment = live.deployment
        if deployment.settings.get("form") != "autokitteh":
            return data
        row = await asyncio.to_thread(self._c.store.connection, deployment.project, source)
        if row is None or integrations.of_manifest(row.integration).signing != "slack":
            return data
        return await asyncio.to_thread(their_slack.full_text, event_type, data)

    async def _known(self, event_id: str) -> EventRow:
        event = await asyncio.to_thread(self._c.store.event, event_id)
        if event is None:
            raise PerdureError("P0222", f"unknown event {event_id!r}", help="`perdure events list` shows all")
        return event

    async def _sent(self, accepted: Accepted) -> pb.Event:
        event = await self._told(await self._known(accepted.event_id))
        event.taken = accepted.subscribed
        return event

    async def _told(self, event: EventRow) -> pb.Event:
        return _message(event, await asyncio.to_thread(self._c.store.dispatches, event.seq))


def _verdict(armed: Armed, event: Event) -> pb.TestTriggerResponse.Verdict:
    """Of one trigger, whatever the event's source."""
    trigger = armed.trigger
    verdict = pb.TestTriggerResponse.Verdict(trigger=trigger.name)
    if not trigger.call:
        verdict.reason = "it starts nothing: sessions may subscribe to it"
    elif trigger.type == "connection" and trigger.event_type not in {"", event.row.event_type}:
        verdict.reason = f"it takes events of type {trigger.event_type!r}"
    elif armed.starts(event):
        verdict.starts = True
    else:
        verdict.reason = f"the filter does not hold{': ' if armed.condition.why else ''}{armed.condition.why}"
    return verdict


def _message(event: EventRow, dispatches: list[DispatchRow]) -> pb.Event:
    return pb.Event(
        event_id=event.event_id,
        seq=event.seq,
        project=event.project,
        source=event.source,
        source_type=event.source_type,
        event_type=event.event_type,
        data=event.data,
        memo=event.memo,
        created_us=event.created_us,
        dispatches=[
            pb.Dispatch(
                trigger=row.trigger_name,
                state=row.state,
                session_id=row.session_id,
                attempt=row.attempt,
                reason=row.reason,
                due_us=row.due_us,
            )
            for row in dispatches
        ],
    )
