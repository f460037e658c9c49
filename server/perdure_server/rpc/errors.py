"""Errors at the border: a `PerdureError` becomes a gRPC status with trailing metadata, and one again on the other side.

The status comes from the catalogue's table. `perdure-code` and `perdure-help` are there for every client; the binary
`perdure-error-bin` has all of it (JSON), so that a client of ours shows the same lines as the server would.
"""

from __future__ import annotations

import json
from typing import Any, Final

import grpc

from perdure_server.core.errors import PerdureError, Problems, grpc_status

CODE: Final = "perdure-code"
HELP: Final = "perdure-help"
WHOLE: Final = "perdure-error-bin"

# gRPC refuses more than 8 KiB of metadata: as many problems as fit, cut lines of source.
_WHOLE_BYTES: Final = 6000
_TEXT_CHARS: Final = 600
_FIELDS: Final = ("code", "message", "help", "file", "line", "column", "source")

# What gRPC itself says when nobody of ours answered.
_UNREACHABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})

Metadata = tuple[tuple[str, str | bytes], ...]


def status_of(error: PerdureError) -> tuple[grpc.StatusCode, str, Metadata]:
    """Status, details and trailing metadata that carry `error`."""
    metadata: Metadata = ((CODE, error.code), (WHOLE, _pack(error)))
    if error.help:
        metadata += ((HELP, _ascii(error.help)),)
    return grpc.StatusCode[grpc_status(error)], str(error)[:_TEXT_CHARS], metadata


def error_of(failure: grpc.aio.AioRpcError, address: str) -> PerdureError:
    """The `PerdureError` that the server meant, or P0207 naming `address` when there was no server."""
    pairs: Any = failure.trailing_metadata() or ()  # pairs, whatever the stubs say
    trailing: dict[str, Any] = dict(pairs)
    if isinstance(whole := trailing.get(WHOLE), bytes):
        return _unpack(whole)
    details = failure.details() or failure.code().name
    if failure.code() in _UNREACHABLE:
        return PerdureError(
            "P0207",
            f"no coordinator answers at {address}: {details}",
            help="start one with `perdure serve`; one with TLS answers who has its token, in PERDURE_TOKEN",
        )
    return PerdureError("P0702", f"the coordinator at {address} answered {failure.code().name}: {details}")


def _pack(error: PerdureError) -> bytes:
    """As many of its problems as there is room for; always the first."""
    packed: list[str] = []
    size = 0
    for problem in error.problems if isinstance(error, Problems) else (error,):
        text = json.dumps(_fields(problem))
        size += len(text) + 2
        if packed and size > _WHOLE_BYTES:
            break
        packed.append(text)
    return f"[{', '.join(packed)}]".encode()


def _fields(error: PerdureError) -> dict[str, Any]:
    values = {name: getattr(error, name) for name in _FIELDS}
    return {k: v[:_TEXT_CHARS] if isinstance(v, str) else v for k, v in values.items() if v is not None}


def _unpack(whole: bytes) -> PerdureError:
    try:
        problems = [PerdureError(p.pop("code"), p.pop("message"), **p) for p in json.loads(whole)]
        return problems[0] if len(problems) == 1 else Problems(problems)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return PerdureError("P0208", "the server's error cannot be read: is it of another version?")


def _ascii(text: str) -> str:
    return " ".join(text.encode("ascii", "backslashreplace").decode().split())
