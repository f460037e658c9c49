"""What the stubs of HTTP services answer: the least that the vendors' clients understand."""

from __future__ import annotations

from typing import Any

from vendor_stubs import Asked, Routes

_JIRA = {"id": "10", "key": "P-1", "fields": {"summary": "It broke"}}
_PAGE = {"id": "77", "title": "Notes", "type": "page"}


def slack_post(asked: Asked) -> dict[str, Any]:
    assert asked.headers["authorization"] == "Bearer xoxb-secret"
    return {"ok": True, "channel": "C1", "ts": "171.001"}


def repository(asked: Asked) -> dict[str, Any]:
    assert asked.headers["authorization"] == "token ghp-secret"
    return {"id": 1, "full_name": "octo/cat", "url": f"http://{asked.headers['host']}{asked.path}"}


def sheets_values(asked: Asked) -> dict[str, Any]:
    return {"range": "Sheet1!A1:B2", "majorDimension": "ROWS", "values": [["a", "b"], ["c", "d"]]}


def thing(asked: Asked) -> dict[str, Any]:
    assert asked.headers["authorization"] == "Bearer http-secret"
    return {"id": 1, "name": "thing" if asked.query.get("full") == ["yes"] else "?"}


def completion(asked: Asked) -> dict[str, Any]:
    assert asked.headers["authorization"] == "Bearer gpt-secret"
    message = {"role": "assistant", "content": "hello"}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}


def claude(asked: Asked) -> dict[str, Any]:
    assert "claude-secret" in (asked.headers.get("x-api-key"), asked.headers["authorization"].removeprefix("Bearer "))
    content = [{"type": "text", "text": "hello"}]
    facts = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    return {**facts, "content": content, "usage": {"input_tokens": 1, "output_tokens": 2}}


ROUTES: Routes = {
    "POST /http/things": thing,
    "GET /http/things/1": thing,
    "POST /slack/chat.postMessage": slack_post,
    "(GET|POST) /slack/conversations.list": {"ok": True, "channels": [{"id": "C1", "name": "general"}]},
    "GET /github/repos/octo/cat": repository,
    "POST /github/repos/octo/cat/issues": {"id": 2, "number": 7, "title": "It broke"},
    "GET /v4/spreadsheets/s1/values/[^/]+": sheets_values,
    "PUT /v4/spreadsheets/s1/values/A1": {"spreadsheetId": "s1", "updatedCells": 1},
    "GET /v4/spreadsheets/s1": {
        "spreadsheetId": "s1",
        "properties": {"title": "Book"},
        "sheets": [{"properties": {"sheetId": 0, "index": 0, "title": "Sheet1", "gridProperties": {}}}],
    },
    "GET /gmail/v1/users/me/messages": {"messages": [{"id": "m1"}, {"id": "m2"}]},
    "POST /gmail/v1/users/me/messages/send": {"id": "m3"},
    "GET /calendar/v3/calendars/primary/events": {"items": [{"summary": "lunch"}]},
    "POST /calendar/v3/calendars/primary/events": {"id": "e1"},
    "POST /jira/rest/api/[23]/issue": _JIRA,
    "GET /jira/rest/api/[23]/issue/P-1": _JIRA,
    "POST /wiki/.*content/?": _PAGE,
    "GET /wiki/.*content/77": _PAGE,
    "POST /discord/channels/1/messages": {"id": "9"},
    "GET /discord/users/@me": {"username": "helper"},
    "POST /openai/chat/completions": completion,
    "GET /openai/models": {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "x"}]},
    "POST /anthropic/v1/messages": claude,
    "PUT /aws/b/k": "",
    "GET /aws/?": (
        '<?xml version="1.0"?><ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<Buckets><Bucket><Name>b</Name></Bucket></Buckets></ListAllMyBucketsResult>"
    ),
}
