"""The JSON API: which request is which rpc. A literal table; a test holds it complete.

Fields of an rpc's request come from the path, then the query (GET, DELETE) or the body (others). A body is JSON, or, of
what takes a stream, the bytes themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Route:
    """`{name}` in `path` is a field of the request, `{name:path}` one with slashes.

    `body`: the field that the JSON body is, where that is not the whole request; what the request itself has no field
    for, the path says of that.
    """

    method: str
    path: str
    rpc: str
    summary: str
    body: str = ""


_PROJECT: Final = "/projects/{project}"
_SESSION: Final = "/sessions/{session_id}"

ROUTES: Final = (
    Route("GET", "/version", "GetVersion", "Version of the server, and of the protocol"),
    # Projects
    Route("GET", "/projects", "ListProjects", "All projects"),
    Route("DELETE", "/projects/{name}", "DeleteProject", "Delete a project and all that belongs to it"),
    Route("POST", _PROJECT + "/deployments", "Deploy", "Deploy a build: the body is its tarball"),
    Route("GET", _PROJECT + "/deployments", "ListDeployments", "Deployments of a project, newest first"),
    Route("POST", _PROJECT + "/rollback", "RollBack", "Make an older deployment live again"),
    Route("POST", _PROJECT + "/deactivate", "Deactivate", "End the active deployment without a new one"),
    Route("GET", "/builds", "ListBuilds", "Builds"),
    Route("GET", "/builds/{digest}", "FetchBuild", "The tarball of a build"),
    # Sessions
    Route("POST", "/sessions", "StartSession", "Start a session"),
    Route("GET", "/sessions", "ListSessions", "Sessions, newest first"),
    Route("POST", "/sessions/import", "ImportSession", "Import a session: the body is an exported one"),
    Route("GET", _SESSION, "GetSession", "A session"),
    Route("GET", _SESSION + "/history", "GetHistory", "Its journal, an entry a line"),
    Route("GET", _SESSION + "/logs", "GetLogs", "Its output, a line a line"),
    Route("GET", _SESSION + "/watch", "WatchSession", "The session, and all that happens to it until it ends"),
    Route("GET", _SESSION + "/health", "GetRunnerHealth", "Health of its runner"),
    Route("GET", _SESSION + "/export", "ExportSession", "The session as one file"),
    Route("POST", _SESSION + "/signal", "SignalSession", "Send it a signal"),
    Route("POST", _SESSION + "/stop", "StopSession", "Stop it"),
    Route("POST", _SESSION + "/fork", "ForkSession", "A new session that begins with a part of its journal"),
    Route("POST", _SESSION + "/replay", "ReplaySession", "Replay it read-only"),
    # Events and triggers
    Route("POST", _PROJECT + "/events", "SendEvent", "Send an event"),
    Route("GET", "/events", "ListEvents", "Events, newest first"),
    Route("GET", "/events/{event_id}", "GetEvent", "An event, and what became of it"),
    Route("POST", "/events/{event_id}/redispatch", "RedispatchEvent", "Dispatch an event again, as a new one"),
    Route("GET", _PROJECT + "/triggers", "ListTriggers", "Triggers of the active deployment, with their URLs"),
    Route("POST", _PROJECT + "/triggers/test", "TestTrigger", "Which triggers an event would start"),
    # The store
    Route("GET", _PROJECT + "/store", "ListValues", "Keys of the store"),
    Route("GET", _PROJECT + "/store/{key:path}", "GetValue", "A value"),
    Route("PUT", _PROJECT + "/store/{key:path}", "SetValue", "Set a value"),
    Route("DELETE", _PROJECT + "/store/{key:path}", "DeleteValue", "Delete a value"),
    # Variables and connections
    Route("GET", _PROJECT + "/vars", "ListVars", "Variables; of secret ones without the value"),
    Route("PUT", _PROJECT + "/vars/{name}", "SetVar", "Set a variable", body="var"),
    Route("DELETE", _PROJECT + "/vars/{name}", "UnsetVar", "Unset a variable"),
    Route("GET", _PROJECT + "/connections", "ListConnections", "Connections"),
    Route("PUT", _PROJECT + "/connections/{name}", "PutConnection", "Make or change a connection"),
    Route("DELETE", _PROJECT + "/connections/{name}", "DeleteConnection", "Delete a connection"),
    # The pool, and who may ask
    Route("GET", "/hosts", "ListHosts", "Hosts of the pool"),
    Route("POST", "/hosts/invitations", "InviteHost", "A token with which a host can join"),
    Route("POST", "/hosts/{host_id}/drain", "DrainHost", "Place nothing on a host any more"),
    Route("GET", "/tokens", "ListTokens", "Tokens, without their secrets"),
    Route("POST", "/tokens", "CreateToken", "Make a token; its secret is shown once"),
    Route("DELETE", "/tokens/{token_id}", "RevokeToken", "Revoke a token"),
    Route("POST", "/garbage", "CollectGarbage", "Delete what is old enough"),
)
