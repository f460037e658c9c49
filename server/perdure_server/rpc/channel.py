"""Options of every channel and server: message sizes, how much of anything a peer may have, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import grpc

from perdure_server.security.needs import Kind

MAX_MESSAGE_BYTES: Final = 80 * 1024 * 1024  # a payload of 64 MiB and its entry
MAX_CONTROL_BYTES: Final = 8 * 1024 * 1024  # where no hosts attach

# Without ping_timeout_ms a stopped peer goes unnoticed for a minute (reference/sandbox.md).
_KEEPALIVE: Final = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
_SIZES: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)
CLIENT_OPTIONS: Final = [*_KEEPALIVE, *_SIZES]


@dataclass(frozen=True, slots=True)
class Patience:
    """What peers of one door may have, and for how long they may do nothing."""

    handshake_ms: int = 5_000  # from the connection to the end of its handshakes
    idle_ms: int = 60_000  # for a connection without a call; a client dials again when it needs one
    connections: int = 1_000
    streams: int = 256  # of one connection
    calls: int = 4_000  # of all connections
    metadata_bytes: int = 8 * 1024


def server_options(kind: Kind, patience: Patience) -> list[tuple[str, int]]:
    """The options of the gRPC server behind a door."""
    options = [
        *_KEEPALIVE,
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_CONTROL_BYTES if kind is Kind.TLS else MAX_MESSAGE_BYTES),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.max_concurrent_streams", patience.streams),
        ("grpc.server_handshake_timeout_ms", patience.handshake_ms),
        ("grpc.max_metadata_size", patience.metadata_bytes),
        ("grpc.absolute_max_metadata_size", 2 * patience.metadata_bytes),
        ("grpc.compression_enabled_algorithms_bitset", 1),  # none: what is small on the wire stays small
        ("grpc.so_reuseport", 0),  # two servers on one port would share its calls by chance
    ]
    if kind is not Kind.SOCKET:
        options += [
            ("grpc.max_connection_idle_ms", patience.idle_ms),
            ("grpc.max_allowed_incoming_connections", patience.connections),
        ]
    return options


def open_channel(address: str, authority: bytes = b"") -> grpc.aio.Channel:
    """A channel to `HOST:PORT` or `unix:PATH`; with TLS if the certificate (PEM) of the server's CA is given."""
    if authority:
        credentials = grpc.ssl_channel_credentials(root_certificates=authority)
        return grpc.aio.secure_channel(address, credentials, options=CLIENT_OPTIONS)
    return grpc.aio.insecure_channel(address, options=CLIENT_OPTIONS)
