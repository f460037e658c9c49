"""A coordinator behind real doors of every kind, and what comes to them: clients, hosts, and bytes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
from coordinator_support import World
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.control_pb2_grpc import ControlStub
from perdure_proto.v1.runner_pb2 import FromHost, ToHost
from perdure_proto.v1.runner_pb2_grpc import HostsStub
from perdure_runner.host.joining import Identity
from perdure_server.coordinator.control import Control
from perdure_server.rpc.channel import Patience, open_channel
from perdure_server.rpc.client import RemoteControl
from perdure_server.rpc.doors import Tls
from perdure_server.rpc.server import GrpcServer
from perdure_server.security.access import Access

PATIENCE_S = 60.0


def now_us() -> int:
    return time.time_ns() // 1000


@dataclass
class Doors:
    """`socket`, `loopback`: without TLS; `tls`, `hosts`: with."""

    world: World
    home: Path
    access: Access
    socket: str = ""
    loopback: str = ""
    tls: str = ""
    hosts: str = ""

    @property
    def authority(self) -> bytes:
        assert self.access.authority is not None
        return self.access.authority.certificate

    async def token(self, scope: str, project: str = "", valid_s: float = 0) -> str:
        row, secret = await self.access.tokens.create("t", scope, project, valid_s)
        return f"pt.{row.token_id}.{secret}"

    def client(self, token: str = "") -> RemoteControl:
        """By the loopback door."""
        return RemoteControl(self.loopback, token=token)

    async def invite(self, valid_s: float = 60, host_id: str = "") -> str:
        token, _ = await self.access.joining.invite(valid_s, host_id, self.access.address, self.access.hosts)
        return token


@asynccontextmanager
async def open_doors(world: World, home: Path, patience: Patience | None = None) -> AsyncIterator[Doors]:
    """All four kinds of doors of one coordinator, by two servers."""
    access = Access(world.store, now_us, home=home, certificate_valid_s=60)
    assert access.authority is not None
    doors = Doors(world, home, access)
    control = Control(world.coordinator, str(home), access)
    patience = patience or Patience()
    plain = GrpcServer(world.coordinator, control, [f"unix:{home}/s", "127.0.0.1:0"], patience=patience)
    tls = Tls(access.authority, ["localhost", "127.0.0.1"])
    secure = GrpcServer(world.coordinator, control, ["127.0.0.1:0"], tls=tls, hosts="127.0.0.1:0", patience=patience)
    doors.socket, doors.loopback = await plain.start()
    (doors.tls,) = await secure.start()
    doors.hosts = secure.hosts_address
    access.address, access.hosts = doors.tls, doors.hosts
    try:
        yield doors
    finally:
        await plain.stop(0)
        await secure.stop(0)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def control_of(channel: grpc.aio.Channel) -> Any:
    return ControlStub(channel)


def hosts_of(channel: grpc.aio.Channel) -> Any:
    return HostsStub(channel)


async def status(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call ended, and perdure's code for it."""
    try:
        await asyncio.wait_for(_drained(call), PATIENCE_S)
    except grpc.aio.AioRpcError as error:
        trailing: Any = error.trailing_metadata() or ()
        return error.code(), str(dict(trailing).get("perdure-code", ""))
    return grpc.StatusCode.OK, ""


async def _drained(call: Any) -> None:
    if hasattr(call, "__aiter__"):
        async for _ in call:
            pass
    else:
        await call


def hello(host_id: str = "h", capacity: int = 3) -> FromHost:
    return FromHost(
        hello=rpb.HostHello(protocol_version=1, host_id=host_id, capacity=capacity, pythons=["3.11"], pid=1)
    )


def mutual_channel(doors: Doors, identity: Identity) -> grpc.aio.Channel:
    """To the hosts' door, with a host's certificate."""
    credentials = grpc.ssl_channel_credentials(doors.authority, identity.key.encode(), identity.certificate.encode())
    return grpc.aio.secure_channel(doors.hosts, credentials)


class Stream:
    """A host's stream, driven by hand."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Any = ()) -> None:
        self.channel = channel
        self.call: Any = HostsStub(channel).Attach(metadata=metadata)

    @classmethod
    def at(cls, address: str) -> Self:
        return cls(open_channel(address))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()
        await self.channel.close()

    async def send(self, **message: Any) -> None:
        await self.call.write(FromHost(**message))

    async def greet(self, host_id: str = "h", capacity: int = 3) -> ToHost:
        await self.call.write(hello(host_id, capacity))
        return await self.read()

    async def read(self) -> ToHost:
        message = await asyncio.wait_for(self.call.read(), PATIENCE_S)
        assert isinstance(message, ToHost), await self.call.details()
        return message

    async def until(self, kind: str) -> Any:
        while (message := await self.read()).WhichOneof("message") != kind:
            pass
        return getattr(message, kind)

    async def ended(self) -> tuple[grpc.StatusCode, str]:
        return await self.ended_by(self.call)

    @staticmethod
    async def ended_by(call: Any) -> tuple[grpc.StatusCode, str]:
        """How a stream ended, of which nothing is read."""
        code = await asyncio.wait_for(call.code(), PATIENCE_S)
        return code, str(dict(await call.trailing_metadata() or ()).get("perdure-code", ""))


def endpoint(home: Path, **said: object) -> None:
    (home / "endpoint.json").write_text(json.dumps(said))
