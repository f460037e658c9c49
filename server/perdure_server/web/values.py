"""Published values of projects' stores: who knows the key may read it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from perdure_server.core.errors import PerdureError
from perdure_server.web import errors

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


class PublishedValues:
    """`GET /store/{project}/{key}`."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator

    async def get(self, request: Request) -> Response:
        """The value, JSON. One that is not published is as one that is not there."""
        project, key = request.path_params["project"], request.path_params["key"]
        row = await asyncio.to_thread(self._c.store.stored_value, project, key)
        if row is None or not row.published:
            return errors.response_of(PerdureError("P0224", "nothing is published at this address"), 404)
        tag = f'"{hashlib.sha256(row.value).hexdigest()[:32]}"'
        named = {"etag": tag, "cache-control": "no-cache", "access-control-allow-origin": "*"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=named)
        return Response(row.value, media_type="application/json", headers=named)
