"""The `Control` service: every rpc is the method of `Control` of the same name, `StartSession` of `start_session`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from perdure_server.coordinator.control import Control
from perdure_server.coordinator.rpcs import SERVICE, method_of
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.errors import status_of


def control_handlers(control: Control) -> grpc.GenericRpcHandler[Any, Any]:
    """What serves `control` when it is added to a server."""
    handlers = {method.name: _handler(method, control) for method in SERVICE.methods}
    return grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)


def _handler(method: Any, control: Control) -> grpc.RpcMethodHandler[Any, Any]:
    name = method_of(method.name)

    def function(request: Any) -> Any:
        return getattr(control, name)(request)

    parse = GetMessageClass(method.input_type).FromString
    serialize = GetMessageClass(method.output_type).SerializeToString
    match method.client_streaming, method.server_streaming:
        case False, False:
            return grpc.unary_unary_rpc_method_handler(_answer(function), parse, serialize)
        case True, False:
            return grpc.stream_unary_rpc_method_handler(_answer(function), parse, serialize)
        case False, True:
            return grpc.unary_stream_rpc_method_handler(_answers(function), parse, serialize)
        case _:
            raise TypeError(f"{method.name} streams both ways")


def _answer(function: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Any]:
    async def answer(request: Any, context: Any) -> Any:
        try:
            return await function(request)
        except PerdureError as error:
            await context.abort(*status_of(error))

    return answer


def _answers(function: Callable[[Any], AsyncIterator[Any]]) -> Callable[[Any, Any], Any]:
    async def answers(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for message in function(request):
                yield message
        except PerdureError as error:
            await context.abort(*status_of(error))

    return answers
