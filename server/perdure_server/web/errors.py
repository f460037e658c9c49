"""Errors on HTTP: a `PerdureError` becomes a status and `{"error": {"code", "message", "help"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from perdure_server.core.errors import PerdureError, Problems, grpc_status

RETRY_AFTER_S: Final = 5
CLOSE: Final[Mapping[str, str]] = {"connection": "close"}
"""For answers that are given before a request is read to its end."""

_OF_STATUS: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "FAILED_PRECONDITION": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""By the name of the gRPC status of a code; others are 500."""

_OF_CODE: Final[Mapping[str, int]] = {
    "P0124": 413,  # build too large
    "P0211": 503,  # disk full: nothing that the caller can do, and it passes
    "P0231": 413,
    "P0402": 413,
    "P0610": 503,  # too many sessions wait
}


def status_of(error: PerdureError) -> int:
    """The HTTP status that carries `error`."""
    return _OF_CODE.get(error.code) or _OF_STATUS.get(grpc_status(error), 500)


def response_of(error: PerdureError, status: int = 0, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries `error`; `status` in place of that of its code."""
    status = status or status_of(error)
    named = dict(headers or {})
    if status == 503:
        named["retry-after"] = str(RETRY_AFTER_S)
    if status == 401:
        named["www-authenticate"] = "Bearer"
    return JSONResponse(document(error), status, named)


def document(error: PerdureError) -> dict[str, Any]:
    """What is wrong; of several problems the first, with all of them beside it."""
    told: dict[str, Any] = {"error": _fields(error)}
    if isinstance(error, Problems):
        told["problems"] = [_fields(problem) for problem in error.problems]
    return told


def _fields(error: PerdureError) -> dict[str, Any]:
    where = {name: value for name in ("file", "line", "column") if (value := getattr(error, name)) is not None}
    return {"code": error.code, "message": error.message, "help": error.help} | where
