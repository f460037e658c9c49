"""The gRPC server of a coordinator: hosts, control, health and reflection."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from perdure_proto.v1 import control_pb2, control_pb2_grpc, runner_pb2, runner_pb2_grpc

from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.channel import SERVER_OPTIONS
from perdure_server.rpc.control import ControlServicer
from perdure_server.rpc.hosts import HostsServicer

_SERVICES: Final = (
    control_pb2.DESCRIPTOR.services_by_name["Control"].full_name,
    runner_pb2.DESCRIPTOR.services_by_name["Hosts"].full_name,
)


class GrpcServer:
    """Serves `coordinator` and `control` on `addresses` (`HOST:PORT`, port 0 for any free one, or `unix:PATH`)."""

    def __init__(self, coordinator: Coordinator, control: Control, addresses: Sequence[str]) -> None:
        self.addresses: tuple[str, ...] = ()
        self._wanted = tuple(addresses)
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # missing in the stubs only
        runner_pb2_grpc.add_HostsServicer_to_server(HostsServicer(coordinator), self._server)
        control_pb2_grpc.add_ControlServicer_to_server(ControlServicer(control), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def start(self) -> tuple[str, ...]:
        """Listen; returns the addresses with the ports that were given. Raises `PerdureError` P0203."""
        self.addresses = tuple(self._bind(address) for address in self._wanted)
        await self._server.start()
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return self.addresses

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, and cut those that are still there after `grace_s`."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

    def _bind(self, address: str) -> str:
        if address.startswith("unix:"):
            _clear_socket(address.removeprefix("unix:"))
        elif why := _obstacle(address):
            raise _cannot_listen(address, why)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            raise _cannot_listen(address, _obstacle(address) or "gRPC refused it") from None
        return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"


def _clear_socket(path: str) -> None:
    """A socket file outlives its server; the lock of the home says that there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except OSError:
            os.unlink(path)
            return
    raise PerdureError("P0203", f"somebody listens on {path}")


def _cannot_listen(address: str, why: str) -> PerdureError:
    return PerdureError("P0203", f"cannot listen on {address}: {why}", help="choose another address, or port 0")


def _obstacle(address: str) -> str | None:
    """Why nobody can listen there, None if one can. Asked first: gRPC does not say why, but logs lines of its own."""
    if address.startswith("unix:"):
        return None
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host or "0.0.0.0", int(port)), family=family):  # noqa: S104  # as the caller asked
            return None
    except OSError as error:
        return "the address is in use" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
    except (ValueError, OverflowError):
        return "it is no HOST:PORT"
