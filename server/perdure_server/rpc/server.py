"""The gRPC servers of a coordinator, one behind each of its doors: hosts, control, health and reflection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from perdure_proto.v1 import control_pb2, runner_pb2, runner_pb2_grpc

from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.projects import Projects
from perdure_server.rpc.channel import Patience, server_options
from perdure_server.rpc.control import control_handlers
from perdure_server.rpc.doors import Tls, bind, doors_of
from perdure_server.rpc.guard import Guard
from perdure_server.rpc.hosts import HostsServicer
from perdure_server.security.needs import Kind

_SERVICES: Final = (
    control_pb2.DESCRIPTOR.services_by_name["Control"].full_name,
    runner_pb2.DESCRIPTOR.services_by_name["Hosts"].full_name,
)


class GrpcServer:
    """Serves `coordinator` and `control` on `addresses` (`HOST:PORT`, port 0 for any free one, or `unix:PATH`).

    With `tls`, addresses that are no Unix sockets are served with it, and `hosts` is where hosts attach that have
    joined. Without it, an address that others can reach is refused (P0217).
    """

    def __init__(
        self,
        coordinator: Coordinator,
        control: Control,
        addresses: Sequence[str],
        *,
        tls: Tls | None = None,
        hosts: str = "",
        patience: Patience | None = None,
    ) -> None:
        self.addresses: tuple[str, ...] = ()
        self.hosts_address = ""
        self._tls = tls
        self._doors = doors_of(addresses, tls, hosts)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # missing in the stubs only
        self._hosts = HostsServicer(coordinator, control.access)
        self._control = control_handlers(control)
        self._projects = Projects(coordinator)
        self._access = control.access
        self._patience = patience or Patience()
        self._servers: list[grpc.aio.Server] = []

    async def start(self) -> tuple[str, ...]:
        """Listen; returns the addresses with the ports that were given. Raises `PerdureError` P0203."""
        bound = []
        for door in self._doors:
            server = self._server(door.kind)
            bound.append((door, bind(server, door, self._tls)))
            self._servers.append(server)
        self.addresses = tuple(address for door, address in bound if door.kind is not Kind.HOSTS)
        self.hosts_address = next((address for door, address in bound if door.kind is Kind.HOSTS), "")
        for server in self._servers:
            await server.start()
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return self.addresses

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, and cut those that are still there after `grace_s`."""
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(*(server.stop(grace_s) for server in self._servers))

    def _server(self, kind: Kind) -> grpc.aio.Server:
        patience = self._patience
        server = grpc.aio.server(
            interceptors=[Guard(kind, self._access, self._projects)],
            options=server_options(kind, patience),
            maximum_concurrent_rpcs=None if kind is Kind.SOCKET else patience.calls,
        )
        runner_pb2_grpc.add_HostsServicer_to_server(self._hosts, server)
        server.add_generic_rpc_handlers((self._control,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        return server
