"""What a token of one project may ask: every request names its project, a session of it, or a build of it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.runner_pb2 import FetchBlobRequest

from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.starting import UNDEPLOYED
from perdure_server.core.errors import PerdureError


class Names(NamedTuple):
    """Fields of a request that name something of a project; "" where it has none."""

    project: str = ""
    session: str = ""
    build: str = ""
    event: str = ""


OF: Final[dict[type[Any], Names]] = {
    pb.GetVersionRequest: Names(),
    pb.DeployHeader: Names(project="project"),
    pb.StartSessionRequest: Names(project="project", session="session_id", build="build_id"),
    pb.ListSessionsRequest: Names(project="project"),
    pb.GetSessionRequest: Names(session="session_id"),
    pb.GetHistoryRequest: Names(session="session_id"),
    pb.GetLogsRequest: Names(session="session_id"),
    pb.WatchSessionRequest: Names(session="session_id"),
    pb.SignalSessionRequest: Names(session="session_id"),
    pb.StopSessionRequest: Names(session="session_id"),
    pb.ForkSessionRequest: Names(session="session_id", build="build_id"),
    pb.ReplaySessionRequest: Names(session="session_id", build="build_id"),
    pb.GetRunnerHealthRequest: Names(session="session_id"),
    FetchBlobRequest: Names(build="digest"),
    pb.SetVarRequest: Names(project="project"),
    pb.UnsetVarRequest: Names(project="project"),
    pb.ListVarsRequest: Names(project="project"),
    pb.SendEventRequest: Names(project="project"),
    pb.ListEventsRequest: Names(project="project"),
    pb.GetEventRequest: Names(event="event_id"),
    pb.RedispatchEventRequest: Names(event="event_id"),
    pb.ListTriggersRequest: Names(project="project"),
    pb.TestTriggerRequest: Names(project="project"),
    pb.GetValueRequest: Names(project="project"),
    pb.SetValueRequest: Names(project="project"),
    pb.ListValuesRequest: Names(project="project"),
    pb.ListBuildsRequest: Names(project="project"),
    pb.ListDeploymentsRequest: Names(project="project"),
    pb.RollBackRequest: Names(project="project"),
    pb.DeactivateRequest: Names(project="project"),
    pb.ListConnectionsRequest: Names(project="project"),
    pb.PutConnectionRequest: Names(project="project"),
    pb.DeleteConnectionRequest: Names(project="project"),
}
"""Requests that are not here are for tokens of all projects (a test compares it with the table of rpcs)."""


class Projects:
    """Holds requests to a token's project."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator

    async def hold(self, project: str, request: Any) -> None:
        """Let `request` ask about `project` only; where it names none, it means that one.

        Raises `PerdureError`: P0215 another project or its build, P0204 another project's session, P0222
        another's event, as if unknown.
        """
        if isinstance(request, pb.DeployRequest):
            if not request.HasField("header"):
                return
            request = request.header
        names = OF.get(type(request))
        if names is None:
            raise _refused(project, "this call is not about a project")
        if names.project:
            asked = getattr(request, names.project)
            if asked and asked != project:
                raise _refused(project, f"project {asked!r} is another")
            setattr(request, names.project, project)
        if names.session and (session_id := getattr(request, names.session)):
            record = self._c.store.load_session(session_id)
            if record is not None and record.project != project:
                raise PerdureError("P0204", f"unknown session {session_id!r}", help="`perdure sessions list` shows all")
        if names.event and (event_id := getattr(request, names.event)):
            event = self._c.store.event(event_id)
            if event is not None and event.project != project:
                raise PerdureError("P0222", f"unknown event {event_id!r}", help="`perdure events list` shows all")
        if names.build and (build_id := getattr(request, names.build)) and not await self._has(project, build_id):
            raise _refused(project, f"build {build_id[:12]} is not one of its deployments")

    async def _has(self, project: str, build_id: str) -> bool:
        for name in (project, project + UNDEPLOYED):
            if await self._c.builds.deployment_of(name, build_id) is not None:
                return True
        return False


def _refused(project: str, why: str) -> PerdureError:
    return PerdureError("P0215", f"the token is for project {project}: {why}")
