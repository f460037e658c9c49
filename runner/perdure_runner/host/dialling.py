"""How a host reaches its coordinator, and what it shows of itself."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import grpc.aio

from perdure_runner.host.config import MIB

MESSAGE_BYTES = 80 * MIB
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it a stopped peer goes unnoticed
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel dials at once, whatever became of those before it
)

Metadata = tuple[tuple[str, str], ...]


class LinkBrokenError(ConnectionError):
    """The stream is gone, or cannot be. The message says why."""


class RefusedError(LinkBrokenError):
    """The coordinator knows this host and will not have it, or what the host shows is over: a person has to act."""


class Dialler(Protocol):
    """Opens channels to one coordinator."""

    async def dial(self) -> tuple[grpc.aio.Channel, Metadata]:
        """Give a new channel, and the metadata of every call on it.

        Raises:
            RefusedError: what the host shows will not do; the message says what would.
        """

    async def keep(self, channel: grpc.aio.Channel) -> None:
        """Run for as long as the channel is used: keep what the host shows from getting old."""


class Plain:
    """Without TLS, for this machine: the socket is the identity, or a token from the coordinator's home.

    `token` is asked at every dial, because a coordinator that was started again has another one.
    """

    def __init__(self, address: str, token: Callable[[], Awaitable[str]] | None = None) -> None:
        self._address = address
        self._token = token

    async def dial(self) -> tuple[grpc.aio.Channel, Metadata]:
        token = await self._token() if self._token is not None else ""
        channel = grpc.aio.insecure_channel(self._address, options=CHANNEL_OPTIONS)
        return channel, ((("authorization", f"Bearer {token}"),) if token else ())

    async def keep(self, channel: grpc.aio.Channel) -> None:
        """Nothing gets old."""
