"""The OpenAPI 3.1 document of the JSON API, made of the table of routes and the descriptors of control.proto."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from perdure._version import __version__
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.runner_pb2 import BlobChunk

from perdure_server.coordinator.rpcs import SERVICE
from perdure_server.security.needs import NEEDS
from perdure_server.web.messages import Bytes, Described, Field, is_map, is_repeated, kind_of
from perdure_server.web.routes import PREFIX, Route

_PARAMETER: Final = re.compile(r"\{([a-z_]+)(?::path)?\}")
_SUMMARY: Final = "What the command line asks by gRPC, as JSON. Webhooks and published values need no token."

_SCALARS: Final[dict[int, dict[str, Any]]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_UINT64: {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    FieldDescriptor.TYPE_INT64: {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
}
_OF_BYTES: Final[dict[Bytes, dict[str, Any]]] = {
    Bytes.JSON: {"description": "Any JSON."},
    Bytes.TEXT: {"type": "string"},
    Bytes.RAW: {"type": "string", "contentEncoding": "base64"},
}
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "`perdure explain CODE` says more."},
                "message": {"type": "string"},
                "help": {"type": ["string", "null"]},
            },
        },
        "problems": {"type": "array", "items": {"type": "object"}},
    },
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Of these routes."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {}
    for route in routes:
        path = PREFIX + _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "perdure", "version": __version__, "description": _SUMMARY},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    method: Any = SERVICE.methods_by_name[route.rpc]
    need = NEEDS[f"/{SERVICE.full_name}/{route.rpc}"]
    asked: Described = pb.DeployHeader.DESCRIPTOR if route.rpc == "Deploy" else method.input_type
    named = _PARAMETER.findall(route.path)
    operation: dict[str, Any] = {
        "operationId": route.rpc,
        "summary": route.summary,
        "description": f"Needs a token of scope {need.scope.name.lower()}{' for all projects' if need.whole else ''}.",
        "parameters": [_path_parameter(name, asked, route.body) for name in named],
        "responses": {"200": _answer(method, schemas), "default": _json("Error", "What is wrong.")},
    }
    if method.client_streaming:
        octets: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": octets}
        asked = asked if asked is not BlobChunk.DESCRIPTOR else None
    if route.method in {"POST", "PUT"} and not method.client_streaming:
        body = asked.fields_by_name[route.body].message_type if route.body else asked
        operation["requestBody"] = {"content": {"application/json": {"schema": _body(body, named, schemas)}}}
    elif asked is not None:
        operation["parameters"] += [_query_parameter(field) for field in asked.fields if field.name not in named]
    return operation


def _answer(method: Described, schemas: dict[str, Any]) -> dict[str, Any]:
    if method.output_type is BlobChunk.DESCRIPTOR:
        octets = {"schema": {"type": "string", "format": "binary"}}
        return {"description": "Bytes.", "content": {"application/octet-stream": octets}}
    if not method.server_streaming:
        return _json(_schema(method.output_type, schemas), "Done.")
    line = {"schema": {"type": "string"}}
    name = _schema(method.output_type, schemas)
    return {
        "description": f"A stream: each line, or each event, is a {name}.",
        "content": {"application/x-ndjson": line, "text/event-stream": line},
    }


def _json(name: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _reference(name)}}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _path_parameter(name: str, asked: Described, body: str) -> dict[str, Any]:
    fields = asked.fields_by_name
    field = fields[name] if name in fields else fields[body].message_type.fields_by_name[name]
    return {"name": name, "in": "path", "required": True, "schema": _field(field, {}) | {"minLength": 1}}


def _query_parameter(field: Field) -> dict[str, Any]:
    return {"name": field.name, "in": "query", "schema": _field(field, {})}


def _body(message: Described, named: list[str], schemas: dict[str, Any]) -> dict[str, Any]:
    """A request's own schema: without what its path says."""
    fields = [field for field in message.fields if field.name not in named]
    return {
        "type": "object",
        "properties": {field.name: _field(field, schemas) for field in fields},
        "additionalProperties": False,
    }


def _schema(message: Described, schemas: dict[str, Any]) -> str:
    """The name under which a message's schema is among `schemas`."""
    name: str = message.full_name.removeprefix(f"{message.file.package}.")
    if name not in schemas:
        schemas[name] = {}  # messages may hold themselves
        properties = {field.name: _field(field, schemas) for field in message.fields}
        if name == "Payload":
            properties["value"] = {"description": "What it holds, where that is JSON; else see `data`, `preview`."}
        schemas[name] = {"type": "object", "properties": properties}
    return name


def _field(field: Field, schemas: dict[str, Any]) -> dict[str, Any]:
    if is_map(field):
        inner = field.message_type.fields_by_name["value"]
        return {"type": "object", "additionalProperties": _single(inner, field, schemas)}
    single = _single(field, field, schemas)
    return {"type": "array", "items": single} if is_repeated(field) else single


def _single(field: Field, named: Field, schemas: dict[str, Any]) -> dict[str, Any]:
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            return _reference(_schema(field.message_type, schemas))
        case FieldDescriptor.TYPE_ENUM:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        case FieldDescriptor.TYPE_BYTES:
            return dict(_OF_BYTES[kind_of(named)])
        case _:
            return dict(_SCALARS[field.type])
