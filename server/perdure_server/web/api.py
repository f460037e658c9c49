"""The JSON API: one handler for every rpc of the control service, asked as `routes` says."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.runner_pb2 import BlobChunk
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as HttpRoute
from starlette.types import Receive, Scope, Send

from perdure_server.coordinator.control import Control
from perdure_server.coordinator.projects import Projects
from perdure_server.coordinator.rpcs import SERVICE, method_of
from perdure_server.core import jsontext
from perdure_server.core.errors import PerdureError
from perdure_server.security.admission import OpenCalls, admit, bearer
from perdure_server.security.needs import NEEDS, Kind
from perdure_server.web import bodies, errors, messages, streams
from perdure_server.web.routes import PREFIX, ROUTES, Route


def served(control: Control) -> list[Route]:
    """Those that `control` has a method for."""
    return [route for route in ROUTES if hasattr(control, method_of(route.rpc))]


def http_routes(control: Control, projects: Projects, kind: Kind) -> list[HttpRoute]:
    """For a server whose door is of this kind: one for each path."""
    calls = OpenCalls()
    found: dict[str, dict[str, Endpoint]] = {}
    for route in served(control):
        endpoint = Endpoint(route, control, projects, kind, calls)
        found.setdefault(PREFIX + route.path, {})[route.method] = endpoint
    return [HttpRoute(path, ByMethod(endpoints)) for path, endpoints in found.items()]


class ByMethod:
    """An ASGI application: the routes of one path."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if (endpoint := self._endpoints.get(method)) is not None:
            await endpoint(scope, receive, send)
            return
        allowed = ", ".join(sorted(self._endpoints))
        error = PerdureError("P0702", f"this address takes {allowed}")
        await errors.response_of(error, 405, {**errors.CLOSE, "allow": allowed})(scope, receive, send)


class Endpoint:
    """An ASGI application: one route."""

    def __init__(self, route: Route, control: Control, projects: Projects, kind: Kind, calls: OpenCalls) -> None:
        self._route = route
        self._control = control
        self._projects = projects
        self._kind = kind
        self._calls = calls
        self._method: Any = SERVICE.methods_by_name[route.rpc]
        self._need = NEEDS[f"/{SERVICE.full_name}/{route.rpc}"]._replace(strangers=frozenset())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = None
        try:
            async with contextlib.AsyncExitStack() as open_call:
                response = await self._response(Request(scope, receive), open_call)
                await response(scope, receive, send)
        except ClientDisconnect:
            return
        except PerdureError as error:  # its token ended meanwhile: what was sent is all there is
            if response is None:
                await errors.response_of(error, 401, errors.CLOSE)(scope, receive, send)

    async def _response(self, request: Request, open_call: contextlib.AsyncExitStack) -> Response:
        access = self._control.access
        token = bearer(request.headers.get("authorization", ""))
        try:
            caller = admit(access, self._need, self._kind, token)
            open_call.enter_context(self._calls.counted(caller))
            await open_call.enter_async_context(access.tokens.held(caller))
            return await self._answer(request, caller.project)
        except PerdureError as error:
            known = error.code != "P0215" or access.tokens.check(token) is not None
            return errors.response_of(error, 0 if known else 401, errors.CLOSE)
        except bodies.LateError:
            late = PerdureError("P0702", f"the body did not come within {bodies.BODY_S:g} s")
            return errors.response_of(late, 408, errors.CLOSE)

    async def _answer(self, request: Request, project: str) -> Response:
        function = getattr(self._control, method_of(self._route.rpc))
        if self._method.client_streaming:
            return JSONResponse(messages.to_json(await function(self._parts(request, project))))
        asked = await self._request(request)
        if project:
            await self._projects.hold(project, asked)
        if not self._method.server_streaming:
            return JSONResponse(messages.to_json(await function(asked)))
        answers = function(asked)
        if self._method.output_type is BlobChunk.DESCRIPTOR:
            return await streams.of_bytes(_bytes(answers))
        return await streams.of_documents(request, _documents(answers))

    async def _request(self, request: Request) -> Any:
        asked = GetMessageClass(self._method.input_type)()
        self._from_address(request, asked)
        if request.method in {"POST", "PUT"}:
            body = await bodies.read(request.scope, request.receive, self._need.request_bytes)
            told = _object(body)
            messages.from_json(getattr(asked, self._route.body) if self._route.body else asked, told)
            self._from_path(request, asked)  # the path has the last word
        return asked

    def _from_address(self, request: Request, asked: Message) -> None:
        query = request.query_params
        fields: Mapping[str, Any] = asked.DESCRIPTOR.fields_by_name
        told: dict[str, Any] = {}
        for name in query:
            if name not in fields or fields[name].message_type is not None:
                raise PerdureError("P0702", f"there is no parameter {name[:80]!r}", help=", ".join(fields))
            told[name] = messages.converted(fields[name], query.getlist(name))
        messages.from_json(asked, told)
        self._from_path(request, asked)

    def _from_path(self, request: Request, asked: Message) -> None:
        for name, value in request.path_params.items():
            setattr(asked if name in asked.DESCRIPTOR.fields_by_name else getattr(asked, self._route.body), name, value)

    async def _parts(self, request: Request, project: str) -> AsyncIterator[Any]:
        """Of a stream of requests: the header, if there is one, and the body."""
        if self._method.input_type is not pb.DeployRequest.DESCRIPTOR:
            async for piece in bodies.pieces(request.receive):
                yield BlobChunk(data=piece)
            return
        header = pb.DeployRequest(header=pb.DeployHeader())
        self._from_address(request, header.header)
        if project:
            await self._projects.hold(project, header)
        yield header
        async for piece in bodies.pieces(request.receive):
            yield pb.DeployRequest(chunk=piece)


def _object(body: bytes) -> Mapping[str, Any]:
    """The JSON object that a body is; an empty one is none. Raises P0702."""
    if not body.strip():
        return {}
    try:
        told = jsontext.parse(body)
    except ValueError as error:
        raise PerdureError("P0702", f"the body is no JSON: {error}") from None
    if not isinstance(told, dict):
        raise PerdureError("P0702", "the body is no JSON object")
    return told


async def _documents(answers: AsyncIterator[Message]) -> AsyncIterator[Any]:
    async for answer in answers:
        yield messages.to_json(answer)


async def _bytes(answers: AsyncIterator[BlobChunk]) -> AsyncIterator[bytes]:
    async for answer in answers:
        yield answer.data
