"""Options of every channel and server: message sizes, and how soon a dead peer is noticed."""

from __future__ import annotations

from typing import Final

import grpc

MAX_MESSAGE_BYTES: Final = 80 * 1024 * 1024  # a payload of 64 MiB and its entry

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
SERVER_OPTIONS: Final = [
    *_KEEPALIVE,
    *_SIZES,
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_concurrent_streams", 1_000),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.so_reuseport", 0),  # two servers on one port would share its calls by chance
]


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to `HOST:PORT` or `unix:PATH`; loopback and Unix sockets need no credentials."""
    return grpc.aio.insecure_channel(address, options=CLIENT_OPTIONS)
