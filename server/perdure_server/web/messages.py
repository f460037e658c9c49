"""Messages of control.proto as JSON, and back, by their descriptors.

As protobuf's own JSON, with names as in the .proto, but for two things that people would stumble over: bytes that are
JSON or text are shown as such (others as base64), and integers of 64 bits are numbers.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from perdure_server.core import jsontext
from perdure_server.core.errors import PerdureError, did_you_mean

Field = Any
Described = Any
"""Descriptors of a field and of a message: the stubs know two classes of each, which are not those of one another."""


class Bytes(Enum):
    """What the bytes of a field are."""

    JSON = "json"
    TEXT = "text"
    RAW = "raw"


_JSON: Final = frozenset({"event", "data", "value", "payload", "status"})
_TEXT: Final = frozenset({"Var.value", "PutConnectionRequest.values"})
_RAW: Final = frozenset({"BlobChunk.data", "Payload.data"})
_JSON_PAYLOAD: Final = 1  # Encoding of a Payload whose data is JSON


def kind_of(field: Field) -> Bytes:
    """What a field of bytes holds; of a map, its values."""
    name = f"{field.containing_type.name}.{field.name}"
    if name in _TEXT:
        return Bytes.TEXT
    return Bytes.JSON if field.name in _JSON and name not in _RAW else Bytes.RAW


def is_repeated(field: Field) -> bool:
    """Of every version of protobuf: newer ones have no labels."""
    new = getattr(field, "is_repeated", None)
    return bool(new) if new is not None else field.label == FieldDescriptor.LABEL_REPEATED


def is_map(field: Field) -> bool:
    message = field.message_type
    return message is not None and bool(message.GetOptions().map_entry)


def to_json(message: Message) -> dict[str, Any]:
    """Every field of a message, in order; those of messages and `optional` ones only where they are set."""
    told: dict[str, Any] = {}
    fields: Sequence[Field] = message.DESCRIPTOR.fields
    for field in fields:
        value = getattr(message, field.name)
        if is_map(field):
            inner = field.message_type.fields_by_name["value"]
            told[field.name] = {str(key): _plain(inner, each, field) for key, each in sorted(value.items())}
        elif is_repeated(field):
            told[field.name] = [_plain(field, each, field) for each in value]
        elif not field.has_presence or message.HasField(field.name):
            told[field.name] = _plain(field, value, field)
    return told


def _plain(field: Field, value: Any, named: Field) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return _payload(value) if value.DESCRIPTOR.name == "Payload" else to_json(value)
    if field.type == FieldDescriptor.TYPE_ENUM:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    if field.type != FieldDescriptor.TYPE_BYTES:
        return value
    return _shown(kind_of(named), value)


def _payload(payload: Any) -> dict[str, Any]:
    """With `value`, where it is JSON. Whatever else it is, only its session's runner can tell; there is `preview`."""
    told = to_json(payload)
    raw = told.pop("data")
    if payload.encoding == _JSON_PAYLOAD and payload.data:
        return told | {"value": _shown(Bytes.JSON, payload.data)}
    return told | {"data": raw} if raw else told


def _shown(kind: Bytes, value: bytes) -> Any:
    match kind:
        case Bytes.JSON:
            return _json(value)
        case Bytes.TEXT:
            return value.decode("utf-8", "replace")
        case Bytes.RAW:
            return base64.b64encode(value).decode()


def _json(value: bytes) -> Any:
    if not value:
        return None
    try:
        return jsontext.parse(value)
    except ValueError:
        return value.decode("utf-8", "replace")


def from_json(request: Message, told: Mapping[str, Any]) -> None:
    """Set fields of `request`. Raises P0702 for what it has not, or what has another type."""
    try:
        json_format.ParseDict(_encoded(request.DESCRIPTOR, told), request)
    except (json_format.ParseError, TypeError, ValueError, RecursionError) as error:
        raise PerdureError("P0702", f"the request cannot be taken: {_first_line(error)}") from None


def _encoded(descriptor: Described, told: Mapping[str, Any]) -> dict[str, Any]:
    """As json_format wants it: bytes as base64. Raises P0702 for a field that the message has not."""
    return {name: _encoded_field(_field(descriptor, name), value) for name, value in told.items()}


def _field(descriptor: Described, name: str) -> Field:
    """By its name, or as protobuf's JSON writes it (`sessionId`)."""
    fields: Mapping[str, Field] = descriptor.fields_by_name
    found = fields.get(name) or descriptor.fields_by_camelcase_name.get(name)
    if found is None:
        hint = did_you_mean(name[:80], fields) or f"there are: {', '.join(fields)}"
        raise PerdureError("P0702", f"there is no field {name[:80]!r}", help=hint)
    return found


def _encoded_field(field: Field, value: Any) -> Any:
    if is_map(field):
        inner = field.message_type.fields_by_name["value"]
        if inner.type == FieldDescriptor.TYPE_BYTES and isinstance(value, Mapping):
            return {key: _packed(kind_of(field), each) for key, each in value.items()}
        return value
    if field.type == FieldDescriptor.TYPE_MESSAGE and isinstance(value, Mapping):
        return _encoded(field.message_type, value)
    return _packed(kind_of(field), value) if field.type == FieldDescriptor.TYPE_BYTES else value


def _packed(kind: Bytes, value: Any) -> Any:
    match kind:
        case Bytes.JSON:
            text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        case Bytes.TEXT:
            if not isinstance(value, str):
                raise TypeError(f"a text is wanted, not {type(value).__name__}")
            text = value
        case Bytes.RAW:
            return value
    return base64.b64encode(text.encode()).decode()


def converted(field: Field, texts: list[str]) -> Any:
    """A field's value from the texts of a path or a query. Numbers are left to protobuf. Raises P0702."""
    if is_repeated(field):
        return texts
    if len(texts) > 1:
        raise PerdureError("P0702", f"{field.name} is given {len(texts)} times")
    (text,) = texts
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text not in {"true", "false", "1", "0", ""}:
            raise PerdureError("P0702", f"{field.name} is true or false, not {text[:40]!r}")
        return text in {"true", "1", ""}
    return text


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
