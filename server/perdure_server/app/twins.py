"""For `check`: runs of one program that meet nowhere in the coordinator, and repetitions that bear their run's id."""

from __future__ import annotations

from dataclasses import replace

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator import starting
from perdure_server.coordinator.deploying import make_live
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.replays import ALIAS
from perdure_server.coordinator.starting import UNDEPLOYED, new_id
from perdure_server.core import ids
from perdure_server.core.errors import PerdureError


class Twins:
    """What clients cannot ask a coordinator for."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator

    async def lend(self, project: str, build_id: str, other: str) -> None:
        """Let sessions of project `other` run a build of `project` that is not deployed, with the same variables.

        What sessions share (the store, names of events, children) is of their project: so each run has its own.
        """
        c = self._c
        deployment = await c.builds.deployment_of(project + UNDEPLOYED, build_id)
        if deployment is None:
            raise PerdureError("P0212", f"project {project!r} has no build {build_id!r}")
        given = await c.variables.of(project, deployment.deployment_id)
        deployment_id = new_id(c, ids.DEPLOYMENT)
        variables = await c.variables.snapshot(deployment_id, given.values, frozenset(given.secrets))
        lent = replace(deployment, deployment_id=deployment_id, project=other + UNDEPLOYED, vars=variables)
        await make_live(c, lent)

    async def repeat(self, session_id: str, from_seq: int) -> str:
        """A new session with the first entries of another's journal, which sees itself under the other's id.

        So what the journal says of that id is true in it. It is not for sessions that go on for long: to others it is
        known by the id that is returned. Raises as `fork_session`.
        """
        request = pb.ForkSessionRequest(session_id=session_id, from_seq=from_seq)
        forked = await starting.fork_session(self._c, request, f"{session_id}{ALIAS}again")
        return forked.session_id
