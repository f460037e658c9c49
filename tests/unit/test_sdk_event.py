"""Events as handlers get them, and what a plain script is told that asks for some."""

from __future__ import annotations

import asyncio
import base64
import copy
import datetime as dt
import json
import pickle

import perdure
import pytest
from perdure import AttrDict, Event

WEBHOOK = {
    "event_id": "evt_1",
    "event_type": "post",
    "source": "hook",
    "source_type": "webhook",
    "created_at": "2026-11-21T10:00:00.500Z",
    "data": {"body": {"bytes": base64.b64encode(b"\xff{}").decode(), "json": {"a": [{"b": 1}]}}, "method": "POST"},
    "memo": {"by": "me"},
}


def test_an_event_of_a_webhook() -> None:
    event = Event.from_json(WEBHOOK)
    assert event.data.body.bytes == b"\xff{}"
    assert event.data.body.json.a[0].b == event.data["body"]["json"]["a"][0]["b"] == 1
    assert event.created_at == dt.datetime(2026, 11, 21, 10, 0, 0, 500_000, dt.UTC)
    assert (event.event_id, event.source, event.memo["by"], event.session_id) == ("evt_1", "hook", "me", None)


def test_events_without_everything() -> None:
    assert Event.from_json({}).data == {}
    assert Event.from_json({"data": [1]}).data.value == [1]
    by_hand = Event.from_json({"source_type": "webhook", "data": {"body": {"bytes": "no base64!"}}})
    assert by_hand.data.body.bytes == b"no base64!"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d)), AttrDict.copy])
def test_attributes_survive_copies(again: object) -> None:
    made = again(AttrDict({"a": {"b": 1}}, c=[{"d": 2}]))  # type: ignore[operator]
    assert type(made) is AttrDict
    assert (made.a.b, made.c[0].d) == (1, 2)
    assert json.loads(json.dumps(made)) == {"a": {"b": 1}, "c": [{"d": 2}]}


def test_attributes_are_items() -> None:
    made = AttrDict(a=1)
    made.b = {"c": 2}
    made.setdefault("d", {"e": 3})
    assert (made["b"].c, made.d.e) == (2, 3)
    del made.a
    with pytest.raises(AttributeError, match="there is no 'a' here, only: b, d"):
        _ = made.a
    with pytest.raises(AttributeError, match="'a'"):
        del made.a
    assert "b" in dir(made)


def test_a_plain_script_has_no_events() -> None:
    for call in (lambda: perdure.subscribe("hook"), lambda: perdure.unsubscribe("x"), lambda: perdure.next_event("x")):
        with pytest.raises(perdure.NotInSession):
            call()
    for wait in (perdure.anext_event("x"), perdure.anext_signal("go")):
        with pytest.raises(perdure.NotInSession):
            asyncio.run(wait)


@pytest.mark.parametrize("wrong", ["", [], [1], None, 5])
def test_what_is_no_subscription_is_told_at_once(wrong: object) -> None:
    with pytest.raises(TypeError):
        perdure.next_event(wrong)  # type: ignore[arg-type]


def test_a_refusal_has_its_own_code() -> None:
    refused = perdure.RequestRefused("no", code="P0226", help="tidy up")
    again = pickle.loads(pickle.dumps(refused))
    assert (str(again), again.code, again.help) == ("no", "P0226", "tidy up")
