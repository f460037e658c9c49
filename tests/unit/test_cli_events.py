"""`perdure events` and `perdure triggers` against a fake coordinator: what they ask, print and exit with."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_server.cli import connect
from perdure_server.cli.main import invoke
from perdure_server.cli.settings import Settings

Output = pytest.CaptureFixture[str]

NOON_US = 1_700_049_600_000_000
EVENT = pb.Event(
    event_id="evt_1",
    seq=7,
    project="shop",
    source="order",
    source_type="webhook",
    event_type="post",
    data=b'{"n": 1}',
    memo={"method": "POST"},
    created_us=1_700_000_000_000_000,
    dispatches=[
        pb.Dispatch(
            trigger="order", state="dead", session_id="ses_1", attempt=3, reason="no \x1b[31m luck" + ", none" * 20
        )
    ],
)


@dataclass
class Fake:
    asked: list[Any] = field(default_factory=list)
    verdicts: list[pb.TestTriggerResponse.Verdict] = field(default_factory=list)
    events: int = 1
    taken: int = 0

    async def send_event(self, request: pb.SendEventRequest) -> pb.Event:
        self.asked.append(request)
        return pb.Event(event_id="evt_2", taken=self.taken)

    async def list_events(self, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
        asked = pb.ListEventsRequest()
        asked.CopyFrom(request)
        self.asked.append(asked)
        count = min(request.limit, self.events)
        self.events -= count
        return pb.ListEventsResponse(events=[EVENT] * count, next=5 if self.events else 0)

    async def get_event(self, request: pb.GetEventRequest) -> pb.Event:
        self.asked.append(request)
        return EVENT

    async def redispatch_event(self, request: pb.RedispatchEventRequest) -> pb.Event:
        self.asked.append(request)
        return EVENT

    async def list_triggers(self, request: pb.ListTriggersRequest) -> pb.ListTriggersResponse:
        self.asked.append(request)
        return pb.ListTriggersResponse(
            triggers=[
                pb.Trigger(
                    name="order", type="webhook", url="http://h/webhooks/x", project="shop", entry_point="m.py:f"
                ),
                pb.Trigger(name="night", type="schedule", schedule="@daily", timezone="UTC", project="shop"),
                pb.Trigger(name="noon", type="schedule", schedule="0 12 * * *", timezone="UTC", next_us=NOON_US),
                pb.Trigger(name="push", type="connection", connection="octo", project="shop"),
            ]
        )

    async def test_trigger(self, request: pb.TestTriggerRequest) -> pb.TestTriggerResponse:
        self.asked.append(request)
        return pb.TestTriggerResponse(verdicts=self.verdicts)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith(("PERDURE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PERDURE_SERVER", "fake:1")
    made = Fake()

    @asynccontextmanager
    async def remote(_settings: Settings, _at: str) -> AsyncIterator[Fake]:
        yield made

    monkeypatch.setattr(connect, "remote", remote)
    return made


def test_send(fake: Fake, capsys: Output) -> None:
    fake.taken = 2
    arguments = ["--project", "shop", "--type", "push", "--id", "d1", "--memo", "by=me", "--data", '{"n": 1}']
    assert invoke(["events", "send", "order", *arguments]) == 0
    assert fake.asked == [
        pb.SendEventRequest(
            project="shop", source="order", event_type="push", data=b'{"n": 1}', dedup="d1", memo={"by": "me"}
        )
    ]
    told = capsys.readouterr()
    assert told.out == "evt_2\n"
    assert "2 subscriptions listen to" in told.err
    fake.taken = 1
    assert invoke(["events", "send", "order"]) == 0
    assert "1 subscription listens to" in capsys.readouterr().err


def test_what_nothing_takes_is_said(fake: Fake, capsys: Output) -> None:
    assert invoke(["events", "send", "order"]) == 0
    assert "no trigger takes it" in capsys.readouterr().err
    assert invoke(["events", "send", "order", "--data", "{"]) == 2
    assert "error[P0201] --data:1:2 is no JSON" in capsys.readouterr().err


def test_list_asks_page_by_page(fake: Fake, capsys: Output) -> None:
    fake.events = 450
    assert invoke(["events", "list", "--state", "dead", "--source", "order", "--limit", "420", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 420
    assert [(each.limit, each.before_seq, each.state) for each in fake.asked] == [
        (200, 0, "dead"),
        (200, 5, "dead"),
        (20, 5, "dead"),
    ]
    fake.events = 1
    assert invoke(["events", "list"]) == 0
    assert "order dead" in capsys.readouterr().out


def test_show_prints_no_escapes_of_strangers(fake: Fake, capsys: Output) -> None:
    assert invoke(["events", "show", "evt_1"]) == 0
    text = capsys.readouterr().out
    assert "\x1b[31m" not in text
    assert '{"n": 1}' in text
    assert ", none" * 20 in text
    assert invoke(["events", "show", "evt_1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["data"] == {"n": 1}
    assert document["dispatches"][0]["session_id"] == "ses_1"


def test_show_says_which_subscriptions_had_it(fake: Fake, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    deliveries = [
        pb.Delivery(session_id="ses_1", subscription="main.2", state="taken", taken_us=1_700_000_001_000_000),
        pb.Delivery(session_id="ses_2", subscription="main.1", state="waiting"),
    ]
    event = pb.Event(event_id="evt_1", data=b"1", deliveries=deliveries, deliveries_cut=True)

    async def get_event(_request: pb.GetEventRequest) -> pb.Event:
        return event

    monkeypatch.setattr(fake, "get_event", get_event)
    assert invoke(["events", "show", "evt_1"]) == 0
    told = capsys.readouterr()
    assert [line.split() for line in told.out.splitlines()[-2:]] == [
        ["ses_1", "main.2", "taken", "2023-11-14T22:13:21.000000Z"],
        ["ses_2", "main.1", "waiting"],
    ]
    assert "there may be more" in told.err
    assert invoke(["events", "show", "evt_1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["deliveries_cut"] is True
    assert document["deliveries"] == [
        {
            "session_id": "ses_1",
            "subscription": "main.2",
            "state": "taken",
            "taken_at": "2023-11-14T22:13:21.000000Z",
        },
        {"session_id": "ses_2", "subscription": "main.1", "state": "waiting", "taken_at": None},
    ]
    event = pb.Event(event_id="evt_1", data=b"1")
    assert invoke(["events", "show", "evt_1"]) == 0
    assert "no trigger and no subscription" in capsys.readouterr().err


def test_the_newest_event_is_called_latest(fake: Fake, capsys: Output) -> None:
    fake.events = 3
    assert invoke(["events", "show", "latest"]) == 0
    assert fake.asked == [pb.ListEventsRequest(limit=1), pb.GetEventRequest(event_id="evt_1")]
    assert invoke(["events", "redispatch", "latest"]) == 0
    assert fake.asked[-1] == pb.RedispatchEventRequest(event_id="evt_1")
    fake.events = 0
    capsys.readouterr()
    assert invoke(["events", "show", "latest"]) == 2
    assert "P0222" in capsys.readouterr().err


def test_redispatch(fake: Fake, capsys: Output) -> None:
    assert invoke(["events", "redispatch", "evt_0", "--trigger", "order", "--json"]) == 0
    assert fake.asked == [pb.RedispatchEventRequest(event_id="evt_0", trigger="order")]
    assert json.loads(capsys.readouterr().out)["event_id"] == "evt_1"


def test_triggers_list(fake: Fake, capsys: Output) -> None:
    assert invoke(["triggers", "list"]) == 0
    text = capsys.readouterr().out
    assert "http://h/webhooks/x" in text
    assert "@daily UTC, next never" in text
    assert "0 12 * * * UTC, next 2023-11-15 12:00:00 UTC\n" in text
    assert "any event of octo" in text
    assert invoke(["triggers", "list", "--json"]) == 0
    assert [each["url"] for each in json.loads(capsys.readouterr().out)] == ["http://h/webhooks/x", None, None, None]


def test_triggers_test_exits_by_what_would_start(fake: Fake, capsys: Output) -> None:
    verdict = pb.TestTriggerResponse.Verdict
    fake.verdicts = [verdict(trigger="a", reason="the filter does not hold"), verdict(trigger="b", starts=True)]
    assert invoke(["triggers", "test", "--project", "shop", "--type", "push", "--data", "[]"]) == 0
    assert fake.asked == [pb.TestTriggerRequest(project="shop", event_type="push", data=b"[]")]
    assert "the filter does not hold" in capsys.readouterr().out
    fake.verdicts.pop()
    assert invoke(["triggers", "test", "a", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["starts"] is False
