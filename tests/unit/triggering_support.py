"""A coordinator with triggers: deployments made by hand, sessions of pretended runners that do what a test says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from coordinator_support import BUILD, FakeHost, Step, World
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator.settings import Settings
from perdure_server.coordinator.triggering.describing import new_rows
from perdure_server.manifest.triggers import Trigger, Webhook
from perdure_server.store import Build, Deployment, DispatchRow, Mutation, Transaction

PROJECT = "shop"
HANG: list[Step] = [("hang",)]


def hook(name: str = "hook", **fields: Any) -> Trigger:
    return Trigger(name=name, type="webhook", call="main.py:run", webhook=Webhook(), **fields)


class Triggered(World):
    """A project with triggers. `begin` it first."""

    def __init__(self, tmp_path: Path, program: Iterable[Step] = (), settings: Settings | None = None) -> None:
        super().__init__(tmp_path, list(program), replace(settings or Settings(), host_timeout_s=1e9))
        self.deployments = 0

    async def begin(self, **limits: float) -> None:
        self.limits = limits
        await super().begin()
        self.host = FakeHost(self)

    async def restart(self) -> None:
        await super().restart()
        self.host = FakeHost(self)

    async def deploy(self, *triggers: Trigger, form: str = "perdure", **settings: Any) -> Deployment:
        self.deployments += 1
        deployment = Deployment(
            deployment_id=f"dep{self.deployments}",
            project=PROJECT,
            build_id=BUILD,
            created_us=self.clock.now_us(),
            vars={},
            settings={"triggers": [trigger.to_json() for trigger in triggers], "form": form, **settings},
        )

        def write(tx: Transaction) -> None:
            tx.put_build(Build(BUILD, 1, 1, [], {}))
            tx.put_project(PROJECT, 1)
            tx.activate(deployment)
            for row in new_rows(deployment):
                tx.put_trigger(row)

        await self.store.commit(Mutation(write))
        self.coordinator.builds.deployed(deployment)
        await self.until(lambda: self._is_live(deployment.deployment_id))
        await self.settled()
        return deployment

    def _is_live(self, deployment_id: str) -> bool:
        live = self.coordinator.dispatcher.live.at_hand(PROJECT)
        return live is not None and live.deployment.deployment_id == deployment_id

    async def send(
        self, source: str = "hook", data: bytes = b"{}", event_type: str = "post", **fields: Any
    ) -> cpb.Event:
        request = cpb.SendEventRequest(project=PROJECT, source=source, data=data, event_type=event_type, **fields)
        return await self.control.send_event(request)

    async def event(self, event_id: str) -> cpb.Event:
        return await self.control.get_event(cpb.GetEventRequest(event_id=event_id))

    def dispatch(self, event: cpb.Event, trigger: str = "hook") -> DispatchRow:
        row = self.store.dispatch(event.seq, trigger)
        assert row is not None
        return row

    async def in_state(
        self, event: cpb.Event, state: str, trigger: str = "hook", *, turning: float = 0.0
    ) -> DispatchRow:
        await self.until(lambda: self.dispatch(event, trigger).state == state, turning=turning)
        return self.dispatch(event, trigger)

    async def running(self, count: int) -> list[str]:
        """The sessions that have a runner, the oldest first, as soon as they are so many."""
        await self.until(lambda: len(self.alive()) == count)
        return self.alive()

    def alive(self) -> list[str]:
        return sorted(name for name, runner in self.host.runners.items() if not runner.dead)

    def end(self, session_id: str, state: rpb.DoneState.ValueType = rpb.DONE_STATE_COMPLETED) -> None:
        self.host.runners[session_id].done(state)

    def events(self, source: str) -> list[cpb.Event]:
        """All of a source, the oldest first."""
        rows = self.store.events(PROJECT, source, limit=10_000)
        return [cpb.Event(event_id=row.event_id, seq=row.seq, created_us=row.created_us) for row in reversed(rows)]
