"""Projects of AutoKitteh, deployed and run as they are: a server, real HTTP, no file touched."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from compat_support import Platform
from terminal import PATIENCE_S, until


def ask(url: str, **query: str) -> httpx.Response:
    return httpx.get(url, params=query, timeout=PATIENCE_S)


def tell(url: str, body: Any) -> httpx.Response:
    return httpx.post(url, json=body, timeout=PATIENCE_S)


def value_of(platform: Platform, key: str) -> Any:
    """Wait until the store has it."""
    return until(lambda: platform.value(key), f"the store has {key}")


def test_v1_workflows_wait_for_events_and_answer_them(platform: Platform) -> None:
    platform.deploy("front_desk")
    assert set(platform.urls) == {"arrival", "departure", "question"}
    url = platform.urls["arrival"]
    ignored = httpx.post(url, content=b"Ada", timeout=PATIENCE_S)
    assert ignored.status_code == tell(url, {"name": ""}).status_code == ask(url).status_code == 202
    came = tell(url, {"name": "Ada"})
    assert came.status_code == 202
    assert came.headers["AutoKitteh-Event-ID"] == came.json()["event_id"]
    arrived = value_of(platform, "visit:Ada")["arrived"]
    assert arrived["method"] == "POST"
    assert len(arrived["badge"]) == 6
    platform.server.until_suspended(arrived["session"])  # a wait of five minutes holds no process
    assert tell(platform.urls["departure"], {"name": "Ada"}).json()["bye"] == "Ada"
    ended = platform.server.until(arrived["session"], "completed")
    assert ended.event_id == came.json()["event_id"]
    left = value_of(platform, "visit:Ada")["left"]
    assert left["same_locker"]
    assert value_of(platform, "kinds:Ada") == ["Event", "post", "post"]
    shown = platform.terminal.run("sessions", "logs", arrived["session"], "--server", platform.server.address).out
    assert "Welcome, Ada! The door opens with" in shown
    assert "door-0042" not in shown
    assert platform.sessions("visits.py:on_arrival") == [arrived["session"]]


def test_v1_survives_the_death_of_the_server_between_two_events(mortal: Platform) -> None:
    mortal.deploy("front_desk")
    assert tell(mortal.urls["arrival"], {"name": "Bob"}).status_code == 202
    session = value_of(mortal, "visit:Bob")["arrived"]["session"]
    mortal.server.until(session, "waiting")
    before = mortal.http
    mortal.server.kill()
    mortal.server.start()
    url = mortal.urls["departure"].replace(before, mortal.http)
    answer = tell(url, {"name": "Bob"})
    assert (answer.status_code, answer.headers["X-Desk"], answer.json()["bye"]) == (200, "front", "Bob")
    mortal.server.until(session, "completed")
    assert mortal.value("count:arrived") == mortal.value("count:left") == 1


def test_v1_answers_at_once_and_in_pieces(platform: Platform) -> None:
    platform.deploy("front_desk")
    url = platform.urls["question"]
    assert (ask(url).status_code, ask(url).text) == (400, "ask something")
    assert ask(url).headers["content-type"].startswith("text/plain")
    assert ask(url, q="page").headers["content-type"].startswith("text/html")
    assert ask(url, q="where").json() == {"url": platform.urls["arrival"]}
    assert (ask(url, q="nowhere").status_code, ask(url, q="nowhere").text) == (404, "ValueError")
    assert ask(url, q="who").json()["nobody"] is None
    assert (ask(url, q="why").status_code, ask(url, q="why").text) == (418, "get: why?")
    with httpx.stream("GET", f"{url}/story", timeout=PATIENCE_S) as story:
        assert story.headers["content-type"].startswith("text/plain")
        assert "".join(story.iter_text()) == "once upon a time"


def test_v1_schedules_tick(platform: Platform) -> None:
    platform.deploy("front_desk")
    assert until(lambda: (platform.value("rounds") or 0) >= 2, "two rounds were made")
    assert len(platform.sessions("rounds.py:on_round")) >= 2


def test_v2_durable_parents_children_and_signals(platform: Platform) -> None:
    platform.deploy("relay")
    assert tell(platform.urls["fan_out"], {"numbers": [1, 2, -3]}).status_code == 202
    race = value_of(platform, "race")
    assert tell(platform.urls["baton"], {}).status_code == 202
    assert value_of(platform, "listening")
    assert ask(platform.urls["board"], **{"pass": "on", "by": "me"}).status_code == 200
    result = value_of(platform, "result")
    assert result["half"] == [-3, 1, 2]
    assert result["word"] == ["go", {"from": "me", "method": "GET"}]
    assert result["ends"] == [
        [False, None],
        [True, {"number": 1, "own": True, "squared": 1}],
        [True, {"number": 2, "own": True, "squared": 4}],
    ]
    ended = platform.server.until(race, "completed")
    assert json.loads(ended.result.data) is None


def test_v2_the_store(platform: Platform) -> None:
    platform.deploy("relay")
    assert ask(platform.urls["board"]).json() == {
        "a": {"x": [1, None, "ä"]},
        "gone": [None, None, "default"],
        "taken": [True, False, True],
        "sums": [5, 7.5, 8.5, 8.5],
        "keys": ["a", "c", "n"],
        "refused": "RequestRefused, nothing installed",
        "plain": [1, "1"],
    }
    assert httpx.get(f"{platform.http}/store/relay/a").json() == {"x": [1, None, "ä"]}
    assert httpx.get(f"{platform.http}/store/relay/c").status_code == 404
    with ThreadPoolExecutor(4) as pool:
        shown = list(pool.map(lambda _: ask(platform.urls["board"], show="n").json(), range(8)))
    assert shown == [{"value": 8.5}] * 8


def test_a_handler_of_theirs_gets_an_event_from_the_command_line(platform: Platform) -> None:
    platform.deploy("relay")
    session = platform.server.begin("runner.py:run", {"number": 4, "race": "ses_unknown"}, "relay")
    failed = platform.server.until(session, "failed")
    assert (failed.error.type, failed.error.code) == ("perdure.RequestRefused", "P0204")
