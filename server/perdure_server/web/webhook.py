"""What a webhook's request says, as the data of an event. Pure; the bytes are a stranger's.

The shape is AutoKitteh's, so that its handlers read events of ours: `body` with `bytes`, `text`, `form` and `json`,
`headers` and `method`, `raw_url`, `url`. What comes several times is one text, joined; `form` is of the body alone.
Source: AutoKitteh, internal/backend/webhookssvc/svc.go, `requestToData` (Go's `r.PostForm`). That has nothing of
`multipart/form-data`, and None where there is no form.
"""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header

from perdure_server.core import jsontext
from perdure_server.web import multipart

Pairs = Sequence[tuple[bytes, bytes]]

MAX_FIELDS: Final = 1_000
HIDDEN: Final = "***"
"""In place of what a header says that proves who its sender is: events are stored, shown and exported."""
PROOFS: Final = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"x-api-key", b"x-auth-token"})
_FORM: Final = b"application/x-www-form-urlencoded"
_MULTIPART: Final = b"multipart/form-data"

# By the names that `codecs.lookup` gives. Others are left alone: some of Python's take quadratic time, or are no texts.
_CHARSETS: Final = frozenset(
    {"ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "shift_jis", "euc_jp", "euc_kr", "gb2312", "gbk"}
    | {"gb18030", "big5", *(f"iso8859-{n}" for n in range(1, 17)), *(f"cp{n}" for n in range(1250, 1259))}
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read to its end. Names of `headers` are lower-case, as ASGI has them.

    `path` is decoded, `target` as it was sent: path and query. `suffix`: what follows the webhook's own path.
    """

    method: str
    path: str
    target: str
    query: bytes
    headers: Pairs
    body: bytes = b""
    suffix: str = ""
    scheme: str = "http"

    def header(self, name: str) -> str:
        """The values of a header, joined; empty where there is none."""
        wanted = name.lower().encode("latin-1", "replace")
        return ", ".join(value.decode("latin-1") for each, value in self.headers if each == wanted)


def event_type(request: Request) -> str:
    """`post`, `get`, ..."""
    return request.method.lower()


def event_data(request: Request, keep: Sequence[str] = ()) -> bytes:
    """The event's data, JSON in ASCII. Whatever the bytes are: never raises.

    `keep`: names in lower case of `PROOFS` that are told all the same; "*": all.
    """
    data: dict[str, Any] = {
        "method": request.method,
        "raw_url": request.target,
        "url": _url(request),
        "headers": _headers(request.headers, keep),
        "body": _body(request),
    }
    text = _dumped(data)
    try:
        jsontext.check(text)
    except ValueError:  # as part of the event it is nested deeper than alone, and too deep
        data["body"] = data["body"] | {"json": None}
        text = _dumped(data)
    return text


def parsed_json(body: bytes) -> Any:
    """The body's JSON; None where it is none, or one that nobody should parse."""
    if not body:
        return None
    try:
        return jsontext.parse(body)
    except ValueError:
        return None


def _url(request: Request) -> dict[str, Any]:
    return {
        "scheme": request.scheme,
        "host": request.header("host"),
        "path": request.path,
        "path_suffix": request.suffix,
        "raw_query": request.query.decode("latin-1"),
        "query": _joined(_fields(request.query)),
        "fragment": "",
    }


def _headers(pairs: Pairs, keep: Sequence[str]) -> dict[str, str]:
    """By canonical names (`X-Github-Event`): those that AutoKitteh's events have."""
    hidden = frozenset() if "*" in keep else PROOFS - {name.encode("latin-1", "replace") for name in keep}
    return _joined((_canonical(name), HIDDEN if name in hidden else value.decode("latin-1")) for name, value in pairs)


def _canonical(name: bytes) -> str:
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))


def _body(request: Request) -> dict[str, Any]:
    kind, options = _content_type(request)
    fields: list[tuple[str, str]] = []
    body: dict[str, Any] = {
        "bytes": base64.b64encode(request.body).decode(),
        "text": _text(request.body, options),
        "json": parsed_json(request.body),
    }
    if kind == _FORM:
        fields = _fields(request.body)
    elif kind == _MULTIPART:
        form = multipart.parse(request.body, options.get(b"boundary", b""))
        fields = [(name, value.decode("utf-8", "replace")) for name, value in form.fields]
        body["files"] = [_file(each) for each in form.files]
    return body | {"form": _joined(fields)}


def _file(file: multipart.File) -> dict[str, Any]:
    return {
        "name": file.name,
        "filename": file.filename,
        "content_type": file.content_type,
        "bytes": base64.b64encode(file.content).decode(),
    }


def _content_type(request: Request) -> tuple[bytes, Mapping[bytes, bytes]]:
    return parse_options_header(request.header("content-type"))


def _text(body: bytes, options: Mapping[bytes, bytes]) -> str:
    """By the charset that the sender names; what cannot be decoded becomes U+FFFD. `bytes` has it as it came."""
    charset = "utf-8"
    try:
        named = codecs.lookup(options.get(b"charset", b"utf-8").decode("ascii")).name
        charset = named if named in _CHARSETS else charset
    except (LookupError, ValueError):
        pass
    return body.decode(charset, "replace")


def _fields(encoded: bytes) -> list[tuple[str, str]]:
    """Of a query or a form; none where there are more than anybody sends."""
    try:
        return parse_qsl(encoded.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return []


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: ", ".join(values) for name, values in found.items()}


def _dumped(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode("ascii")
