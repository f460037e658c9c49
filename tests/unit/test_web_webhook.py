"""What a webhook's request becomes: whatever the bytes are, an event that JSON can say and handlers can read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_server.core import jsontext
from perdure_server.web.webhook import MAX_FIELDS, Request, event_data, event_type


def request(body: bytes = b"", kind: str = "", query: bytes = b"", **more: Any) -> Request:
    headers = [(b"content-type", kind.encode("latin-1"))] if kind else []
    headers += more.pop("headers", [])
    target = "/webhooks/x" + (f"?{query.decode('latin-1')}" if query else "")
    return Request("POST", "/webhooks/x", target, query, headers, body, **more)


def data(*arguments: Any, **more: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = jsontext.parse(event_data(request(*arguments, **more)))
    return parsed


PROVING = [(b"authorization", b"Bearer t0p"), (b"cookie", b"sid=t0p"), (b"cookie", b"b=t0p"), (b"x-shop", b"mine")]


def test_what_proves_who_sends_is_not_told() -> None:
    told = event_data(request(headers=PROVING))
    assert b"t0p" not in told
    assert jsontext.parse(told)["headers"] == {"Authorization": "***", "Cookie": "***, ***", "X-Shop": "mine"}


@pytest.mark.parametrize(
    ("keep", "kept"),
    [(("cookie",), ("***", "sid=t0p, b=t0p")), (("*",), ("Bearer t0p", "sid=t0p, b=t0p")), (("x-shop",), ("***",) * 2)],
)
def test_headers_that_are_named_are_kept(keep: tuple[str, ...], kept: tuple[str, str]) -> None:
    headers = jsontext.parse(event_data(request(headers=PROVING), keep))["headers"]
    assert (headers["Authorization"], headers["Cookie"].replace("***, ***", "***")) == kept


def test_json() -> None:
    body = data(b'{"n": 12345678901234567890, "s": "\\ud83d\\ude00"}', "application/json")["body"]
    assert body["json"] == {"n": 12345678901234567890, "s": "😀"}
    assert body["text"].startswith('{"n"')
    assert base64.b64decode(body["bytes"]).startswith(b'{"n"')
    assert body["form"] == {}


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"[" * 300 + b"]" * 300, b"1" * 2000, b'"\xff"'])
def test_what_is_no_json_is_none(body: bytes) -> None:
    assert data(body, "application/json")["body"]["json"] is None
    assert base64.b64decode(data(body)["body"]["bytes"]) == body


def test_json_that_is_too_deep_only_inside_the_event_is_left_out() -> None:
    deep = b"[" * jsontext.MAX_DEPTH + b"]" * jsontext.MAX_DEPTH
    jsontext.parse(deep)
    assert data(deep)["body"]["json"] is None


def test_forms_have_the_fields_of_the_body_and_not_those_of_the_query() -> None:
    found = data(b"a=1&a=2&b=%C3%A4&c=", "application/x-www-form-urlencoded; charset=utf-8", b"a=3&q=x&q=y")
    assert found["body"]["form"] == {"a": "1, 2", "b": "ä", "c": ""}
    assert found["url"]["query"] == {"a": "3", "q": "x, y"}
    assert data(b"a=1", "text/plain", b"a=3")["body"]["form"] == {}
    assert data(b"&".join([b"a=1"] * (MAX_FIELDS + 1)), "application/x-www-form-urlencoded")["body"]["form"] == {}


def test_multipart_has_fields_and_files() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nH\xc3\xa4llo\r\n'
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n'
        b"Content-Type: image/png\r\n\r\n\x00\xff\r\n"
        b"--x--\r\n"
    )
    found = data(body, "multipart/form-data; boundary=x")["body"]
    assert found["form"] == {"title": "Hällo"}
    file = {
        "name": "f",
        "filename": "a.bin",
        "content_type": "image/png",
        "bytes": base64.b64encode(b"\x00\xff").decode(),
    }
    assert found["files"] == [file]


@pytest.mark.parametrize("cut", [10, 60, 100])
def test_multipart_that_is_cut_short_has_nothing(cut: int) -> None:
    body = b"".join(b'--x\r\nContent-Disposition: form-data; name="%c"\r\n\r\n1\r\n' % name for name in b"ab")
    found = data(body[:cut], "multipart/form-data; boundary=x")["body"]
    assert (found["form"], found["files"]) == ({}, [])


def test_multipart_with_more_parts_than_anybody_sends_has_nothing() -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    assert data(part * 1001 + b"--x--\r\n", "multipart/form-data; boundary=x")["body"]["form"] == {}
    assert data(part * 1000 + b"--x--\r\n", "multipart/form-data; boundary=x")["body"]["form"]


def test_text_is_read_by_its_charset_and_bytes_are_as_they_came() -> None:
    assert data("Gruß".encode("latin-1"), "text/plain; charset=ISO-8859-1")["body"]["text"] == "Gruß"
    assert data(b"\xff\xfe!", "text/plain")["body"]["text"] == "\ufffd\ufffd!"
    assert data(b"caf\xc3\xa9", "text/plain; charset=punycode")["body"]["text"] == "café"
    assert data(b"caf\xc3\xa9", "text/plain; charset=no-such\xff")["body"]["text"] == "café"


def test_headers_and_address() -> None:
    headers = [
        (b"x-github-event", b"push"),
        (b"accept", b"a"),
        (b"accept", b"b"),
        (b"x-odd", b"\xe4"),
        (b"host", b"h:1"),
    ]
    found = data(query=b"a=1&a=2", headers=headers, suffix="more/still")
    assert found["headers"] == {"X-Github-Event": "push", "Accept": "a, b", "X-Odd": "ä", "Host": "h:1"}
    assert found["raw_url"] == "/webhooks/x?a=1&a=2"
    assert found["url"] == {
        "scheme": "http",
        "host": "h:1",
        "path": "/webhooks/x",
        "path_suffix": "more/still",
        "raw_query": "a=1&a=2",
        "query": {"a": "1, 2"},
        "fragment": "",
    }
    assert found["method"] == "POST"
    assert event_type(request()) == "post"


_KINDS = st.sampled_from(
    ["", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
) | st.text(st.characters(max_codepoint=255), max_size=60)
_PARTS = st.lists(
    st.sampled_from(
        [
            b"--x",
            b"--x--",
            b"\r\n",
            b"\n",
            b'Content-Disposition: form-data; name="a"',
            b'; filename="',
            b":",
            b"=",
            b"&",
            b"%",
        ]
    )
    | st.binary(max_size=12),
    max_size=30,
).map(b"".join)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=400, deadline=None)
@given(
    body=st.binary(max_size=400) | _PARTS | _JSON,
    kind=_KINDS,
    query=st.binary(max_size=60),
    headers=st.lists(st.tuples(st.binary(max_size=12).map(bytes.lower), st.binary(max_size=20)), max_size=4),
    suffix=st.text(max_size=20),
)
def test_any_request_is_an_event(body: bytes, kind: str, query: bytes, headers: list[Any], suffix: str) -> None:
    text = event_data(request(body, kind, query, headers=headers, suffix=suffix))
    found = jsontext.parse(text)  # sessions and filters take it
    assert text.isascii()
    assert base64.b64decode(found["body"]["bytes"]) == body
    assert set(found) == {"method", "raw_url", "url", "headers", "body"}
    assert all(isinstance(value, str) for value in found["body"]["form"].values())
    assert isinstance(found["body"]["text"], str)


@settings(max_examples=100, deadline=None)
@given(
    fields=st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n\0'), min_size=1, max_size=8),
        st.text(max_size=20),
        max_size=5,
    )
)
def test_what_a_browser_sends_as_multipart_arrives(fields: dict[str, str]) -> None:
    boundary = "----perdure-boundary"
    body = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    found = data((body + f"--{boundary}--\r\n").encode("utf-8", "replace"), f"multipart/form-data; boundary={boundary}")
    assert found["body"]["form"] == {n: v.encode("utf-8", "replace").decode() for n, v in fields.items()}
