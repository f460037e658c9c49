"""The table of what each rpc needs: complete, and as strict as it says."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from doors_support import Doors, bearer, status
from google.protobuf import empty_pb2
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.projects import OF, Names
from perdure_server.rpc.channel import open_channel
from perdure_server.rpc.client import RemoteControl
from perdure_server.rpc.control import SERVICE, method_of
from perdure_server.security.needs import NEEDS, Kind
from perdure_server.security.scopes import Scope

FILES = (cpb.DESCRIPTOR, rpb.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
}
NOT_SERVED = {"/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/List"}
CONTROL = {path for path in NEEDS if ".Control/" in path}


def test_every_rpc_has_its_need() -> None:
    assert set(NEEDS) == set(METHODS) - NOT_SERVED


def test_every_rpc_of_control_is_a_method_on_both_sides() -> None:
    names = {method_of(rpc.name) for rpc in SERVICE.methods}
    assert {name for name in names if not (hasattr(Control, name) and hasattr(RemoteControl, name))} == set()


def test_only_these_may_be_called_by_strangers() -> None:
    open_to = {(path.rpartition("/")[2], kind) for path, need in NEEDS.items() for kind in need.strangers}
    assert open_to == {
        ("GetVersion", Kind.SOCKET),
        ("GetVersion", Kind.LOOPBACK),
        ("Join", Kind.TLS),
        *(("Check", kind) for kind in Kind),
    }


def test_what_changes_something_takes_more_than_reading() -> None:
    reading = ("Get", "List", "Watch", "Fetch", "Test", "Export")
    for path in CONTROL:
        name = path.rpartition("/")[2]
        assert (NEEDS[path].scope > Scope.READ) == (not name.startswith(reading)) or name == "ListTokens", path


def test_every_request_for_tokens_of_one_project_names_what_it_is_about() -> None:
    requests = {GetMessageClass(METHODS[path].input_type) for path in CONTROL if not NEEDS[path].whole}
    assert (requests - {cpb.DeployRequest}) | {cpb.DeployHeader} == set(OF)
    fields = {
        "project": "project",
        "session_id": "session",
        "build_id": "build",
        "digest": "build",
        "event_id": "event",
    }
    for request, names in OF.items():
        there = {field.name for field in request.DESCRIPTOR.fields} & set(fields)
        assert names == Names(**{fields[name]: name for name in there}), request


@pytest.mark.parametrize("path", sorted(CONTROL))
async def test_each_rpc_refuses_what_is_less_than_it_needs(doors: Doors, path: str) -> None:
    """Strangers, the next smaller scope, and (where it concerns all) a token of one project; its own is let in."""
    need = NEEDS[path]
    less = Scope(need.scope - 1).name.lower()
    async with open_channel(doors.loopback) as channel:

        async def ask(token: str) -> str:
            call: Any = channel.unary_stream(path)(b"", metadata=bearer(token) if token else ())
            return (await status(call))[1]

        if not need.strangers:
            assert await ask("") == "P0215"
            assert await ask("pt.nobody." + "x" * 43) == "P0215"
        if less != "none":
            assert await ask(await doors.token(less)) == "P0215"
        if need.whole:
            assert await ask(await doors.token("admin", "p")) == "P0215"
        elif path.rpartition("/")[2] not in {"GetVersion", "ListSessions", "ListVars", "Deploy"}:
            assert await ask(await doors.token(need.scope.name.lower(), "p")) != "P0215"
        if "ReplaySession" not in path:
            assert await ask(await doors.token(need.scope.name.lower())) != "P0215"


async def test_what_is_in_no_table_is_not_served(doors: Doors) -> None:
    empty = empty_pb2.Empty().SerializeToString()
    for path in (*NOT_SERVED, "/perdure_proto.v1.Control/Nothing", "/a/b", "/perdure_proto.v1.Hosts/Join"):
        async with open_channel(doors.loopback) as channel:
            call = channel.unary_unary(path)(empty, metadata=bearer(await doors.token("admin")))
            assert (await status(call))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_hosts_attach_at_their_doors_only(doors: Doors) -> None:
    async with open_channel(doors.tls, doors.authority) as channel:
        call = channel.unary_stream("/perdure_proto.v1.Hosts/Attach")(b"", metadata=bearer(await doors.token("admin")))
        assert (await status(call))[0] is grpc.StatusCode.UNIMPLEMENTED
