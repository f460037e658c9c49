"""What each rpc needs: at which doors it is served, who may call it, and how large a request may be.

A literal table, because it is read by people who ask what a token can do. A test holds it complete.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from perdure_server.security.scopes import Scope

KIB: Final = 1024
MIB: Final = 1024 * KIB


class Kind(Enum):
    """A door is an address, and what makes those who come in by it known."""

    SOCKET = "socket"  # Unix: who can open it is its owner
    LOOPBACK = "loopback"  # every user of the machine, and runners with the machine's network, can dial it: tokens
    TLS = "tls"  # clients: tokens; hosts that join: an invitation
    HOSTS = "hosts"  # TLS with certificates of both sides: hosts only


class Need(NamedTuple):
    """`whole`: a token for a single project will not do. `strangers`: doors where nobody needs to be known."""

    scope: Scope
    doors: frozenset[Kind]
    request_bytes: int = 64 * KIB
    whole: bool = False
    strangers: frozenset[Kind] = frozenset()


_CLIENTS: Final = frozenset({Kind.SOCKET, Kind.LOOPBACK, Kind.TLS})
_HOSTS: Final = frozenset({Kind.SOCKET, Kind.LOOPBACK, Kind.HOSTS})
_TLS: Final = frozenset({Kind.TLS})
_HERE: Final = frozenset({Kind.SOCKET, Kind.LOOPBACK})
_EVERY: Final = frozenset(Kind)

READ: Final = Need(Scope.READ, _CLIENTS)
DEPLOY: Final = Need(Scope.DEPLOY, _CLIENTS)
ADMIN: Final = Need(Scope.ADMIN, _CLIENTS, whole=True)

_CONTROL: Final[dict[str, Need]] = {
    # On this machine it says where the home is, by which those who can read the home find its token.
    "GetVersion": READ._replace(strangers=_HERE),
    "Deploy": DEPLOY._replace(request_bytes=4 * MIB),
    "StartSession": DEPLOY._replace(request_bytes=8 * MIB),
    "ListSessions": READ,
    "GetSession": READ,
    "GetHistory": READ,
    "GetLogs": READ,
    "WatchSession": READ,
    "SignalSession": DEPLOY._replace(request_bytes=2 * MIB),
    "StopSession": DEPLOY,
    "ForkSession": DEPLOY,
    "ReplaySession": DEPLOY,  # it runs code
    "FetchBuild": READ,
    "ListHosts": READ._replace(whole=True),
    "InviteHost": ADMIN,
    "DrainHost": ADMIN,
    "GetRunnerHealth": READ,
    "SetVar": DEPLOY._replace(request_bytes=2 * MIB),
    "UnsetVar": DEPLOY,
    "ListVars": READ,
    "CreateToken": ADMIN,
    "ListTokens": ADMIN,
    "RevokeToken": ADMIN,
    "SendEvent": DEPLOY._replace(request_bytes=8 * MIB),
    "ListEvents": READ,
    "GetEvent": READ,
    "RedispatchEvent": DEPLOY,
    "ListTriggers": READ,
    "TestTrigger": READ._replace(request_bytes=8 * MIB),
    "GetValue": READ,
    "SetValue": DEPLOY._replace(request_bytes=2 * MIB),
    "DeleteValue": DEPLOY,
    "ListValues": READ,
    "ListProjects": READ._replace(whole=True),
    "DeleteProject": ADMIN,
    "ListBuilds": READ,
    "ListDeployments": READ,
    "RollBack": DEPLOY,
    "Deactivate": DEPLOY,
    "CollectGarbage": ADMIN,
    "ExportSession": READ,
    "ImportSession": ADMIN._replace(request_bytes=4 * MIB),
    "ListConnections": READ,
    "PutConnection": DEPLOY._replace(request_bytes=2 * MIB),
    "DeleteConnection": DEPLOY,
}
_OF_HOSTS: Final[dict[str, Need]] = {
    "Attach": Need(Scope.ADMIN, _HOSTS, 80 * MIB, whole=True),  # a payload of 64 MiB and its entry
    "FetchBlob": Need(Scope.ADMIN, _HOSTS, 4 * KIB, whole=True),
    "Join": Need(Scope.NONE, _TLS, 32 * KIB, strangers=_TLS),
    "Renew": Need(Scope.ADMIN, frozenset({Kind.HOSTS}), 32 * KIB, whole=True),
}
_HEALTH: Final[dict[str, Need]] = {
    "Check": Need(Scope.NONE, _EVERY, KIB, strangers=_EVERY),  # for load balancers; Watch would hold a stream each
}

NEEDS: Final[dict[str, Need]] = {
    f"/{service}/{method}": need
    for service, methods in {
        "perdure_proto.v1.Control": _CONTROL,
        "perdure_proto.v1.Hosts": _OF_HOSTS,
        "grpc.health.v1.Health": _HEALTH,
        "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": READ},
    }.items()
    for method, need in methods.items()
}
"""By the path of the rpc. What is not here is not served."""
