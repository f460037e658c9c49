"""The triggers of active deployments, ready to be asked: read and compiled once for each deployment."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from perdure_proto.v1 import runner_pb2 as rpb

from perdure_server.core import jsontext
from perdure_server.core.errors import PerdureError, did_you_mean
from perdure_server.core.filters import Filter, Key, compile_filter, compile_key
from perdure_server.manifest.triggers import Overlap, Rate, Trigger
from perdure_server.store import Deployment, EventRow, SessionRecord

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")


class Group(NamedTuple):
    """What a dispatch counts with. The last three are values of the trigger's keys."""

    project: str
    slot: str = ""  # of concurrency
    pace: str = ""  # of the rate
    calm: str = ""  # of debouncing

    def text(self) -> str:
        return json.dumps(self, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of_text(cls, text: str) -> Group:
        return cls(*json.loads(text))


@dataclass(frozen=True, slots=True)
class Armed:
    """A trigger of an active deployment."""

    deployment: Deployment
    trigger: Trigger
    condition: Filter
    slot: Key
    pace: Key
    calm: Key
    form: int  # EventForm of its sessions

    @property
    def source(self) -> str:
        return self.trigger.connection if self.trigger.type == "connection" else self.trigger.name

    @property
    def overlap(self) -> Overlap:
        return self.trigger.schedule.overlap if self.trigger.schedule is not None else "allow"

    @property
    def sessions(self) -> int:
        """At once, in a slot; 0: any number."""
        if self.overlap != "allow":
            return 1
        return self.trigger.concurrency.limit if self.trigger.concurrency is not None else 0

    @property
    def limited(self) -> bool:
        return bool(self.sessions or self.trigger.rate or self.trigger.debounce)

    @property
    def delay(self) -> Rate | None:
        """The rate by which its sessions are put off."""
        rate = self.trigger.rate
        return rate if rate is not None and rate.over == "delay" else None

    def has_room(self, c: Coordinator) -> bool:
        """May another of its sessions wait for a host?"""
        queue = c.builds.at_hand(self.deployment.build_id).queue
        mine = c.placement.quotas.has_room(self.deployment.deployment_id, queue)
        return mine and c.placement.has_room(self.deployment.project)

    def starts(self, event: Event) -> bool:
        """Does this event start a session? `condition.why` may say why not."""
        trigger = self.trigger
        if not trigger.call or (trigger.type == "connection" and trigger.event_type not in {"", event.row.event_type}):
            return False
        return not trigger.filter or self.condition.matches(event.data, event.row.event_type)

    def group(self, event: Event) -> Group:
        keys = (self.slot, self.pace, self.calm)
        values = (key.of(event.data, event.row.event_type) if key.text else "" for key in keys)
        return Group(event.row.project, *values)

    def session(self, c: Coordinator, event: EventRow, session_id: str, event_json: bytes) -> SessionRecord:
        """The session that it starts for an event."""
        return SessionRecord(
            session_id=session_id,
            project=event.project,
            build_id=self.deployment.build_id,
            deployment_id=self.deployment.deployment_id,
            entry_point=self.trigger.call,
            event=event_json,
            created_us=c.clock.now_us(),
            hash_seed=c.hash_seed,
            durable=self.trigger.durable,
            event_id=event.event_id,
            event_form=self.form,
            memo=dict(event.memo) or None,
        )


class Event:
    """An event whose data is parsed when somebody asks for it: most triggers have no filter."""

    __slots__ = ("_data", "_parsed", "row")

    def __init__(self, row: EventRow) -> None:
        self.row = row
        self._data: Any = None
        self._parsed = False

    @property
    def data(self) -> Any:
        if not self._parsed:
            self._parsed = True
            try:
                self._data = jsontext.parse(self.row.data)
            except ValueError as error:  # whoever brought it has not looked: no filter holds
                log.error("the data of event %s is no JSON: %s", self.row.event_id, error)  # noqa: TRY400
        return self._data


@dataclass(frozen=True, slots=True)
class Live:
    """What a project's active deployment has."""

    deployment: Deployment
    by_name: Mapping[str, Armed]
    by_source: Mapping[str, tuple[Armed, ...]]


class LiveTriggers:
    """Of all projects that were asked for."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._live: dict[str, Live] = {}

    async def of(self, project: str) -> Live | None:
        """None when it has no active deployment."""
        deployment = await self._c.builds.active(project)
        if deployment is None:
            self._live.pop(project, None)
            return None
        known = self._live.get(project)
        if known is None or known.deployment.deployment_id != deployment.deployment_id:
            await self._c.builds.of(deployment.build_id)
            known = self._live[project] = _live(deployment)
        return known

    def projects(self) -> list[str]:
        """Those that were asked for."""
        return [*self._live]

    def at_hand(self, project: str) -> Live | None:
        """As it was found last."""
        return self._live.get(project)

    async def check_source(self, project: str, source: str, deployment: Deployment | None = None) -> None:
        """P0223 when events of the project have no such source, nor those of this older deployment."""
        active = await self._c.builds.active(project)
        known = {name for each in (active, deployment) if each is not None for name in sources(each)}
        if source in known or await asyncio.to_thread(self._c.store.connection, project, source) is not None:
            return
        raise unknown_source(source, known)


def sources(deployment: Deployment) -> set[str]:
    """Names that events of its project may bear: its triggers and connections."""
    settings = deployment.settings
    named = {each["name"] for each in (*settings.get("triggers", ()), *settings.get("connections", ()))}
    return named | {each["connection"] for each in settings.get("triggers", ()) if each.get("connection")}


def unknown_source(name: str, known: Iterable[str]) -> PerdureError:
    """P0223, with what there is."""
    names = sorted(known)
    hint = did_you_mean(name, names) or (f"known: {', '.join(names)}" if names else "the project has none")
    return PerdureError("P0223", f"there is no trigger or connection {name[:80]!r}", help=hint)


def _live(deployment: Deployment) -> Live:
    settings = deployment.settings
    theirs = settings.get("form") == "autokitteh"
    form = rpb.EVENT_FORM_AUTOKITTEH if theirs else rpb.EVENT_FORM_EVENT
    by_name: dict[str, Armed] = {}
    by_source: dict[str, tuple[Armed, ...]] = {}
    for each in settings.get("triggers", ()):
        try:
            armed = _armed(deployment, Trigger.of_json(each), form)
        except PerdureError as error:
            # It was checked at deploy: by another version of perdure.
            log.error("trigger %s of %s: %s", each.get("name"), deployment.project, error)  # noqa: TRY400
            continue
        by_name[armed.trigger.name] = armed
        by_source[armed.source] = (*by_source.get(armed.source, ()), armed)
    return Live(deployment, by_name, by_source)


def _armed(deployment: Deployment, trigger: Trigger, form: int) -> Armed:
    return Armed(
        deployment=deployment,
        trigger=trigger,
        condition=compile_filter(trigger.filter),
        slot=compile_key(trigger.concurrency.key if trigger.concurrency else ""),
        pace=compile_key(trigger.rate.key if trigger.rate else ""),
        calm=compile_key(trigger.debounce.key if trigger.debounce else ""),
        form=form,
    )
