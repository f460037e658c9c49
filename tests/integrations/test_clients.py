"""Every client factory against a stub of its service: recorded, killed in the middle, replayed; each call made once."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from vendor_answers import ROUTES
from vendor_home import has_user, interpreter
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_server.app.engine import Engine
from perdure_server.cli import builds
from perdure_server.coordinator.settings import Fault
from vendor_stubs import Stub, http_stub, redis_stub, smtp_stub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROJECT = Path(__file__).parent / "project"
POSTGRES = Path("/usr/lib/postgresql")


class Case(NamedTuple):
    """`values` of a connection, in which {http}, {redis} and so on stand for the stubs; `calls`: how often each is."""

    connection: str
    integration: str
    values: Mapping[str, str]
    result: Any
    calls: Mapping[str, int]


GOOGLE = {"oauth_access_token": "ya29-secret", "base_url": "{http}"}
BASIC = {"email": "me@example.com", "token": "atl-secret"}
MESSAGES = "POST /anthropic/v1/messages"
CASES = {
    "http": Case(
        "api",
        "http",
        {"base_url": "{http}/http", "token": "http-secret"},
        [1, "thing"],
        {"POST /http/things": 1, "GET /http/things/1": 1},
    ),
    "slack": Case(
        "team",
        "slack",
        {"token": "xoxb-secret", "base_url": "{http}/slack"},
        ["171.001", ["general"]],
        {"POST /slack/chat.postMessage": 1, "POST /slack/conversations.list": 1},
    ),
    "github": Case(
        "hub",
        "github",
        {"token": "ghp-secret", "base_url": "{http}/github"},
        ["octo/cat", 7],
        {"GET /github/repos/octo/cat": 1, "POST /github/repos/octo/cat/issues": 1},
    ),
    "google_sheets": Case(
        "sheets",
        "googlesheets",
        GOOGLE,
        [[["a", "b"], ["c", "d"]], 1],
        {"GET /v4/spreadsheets/s1/values/A1:B2": 1, "PUT /v4/spreadsheets/s1/values/A1": 1},
    ),
    "gmail": Case(
        "mail",
        "gmail",
        GOOGLE,
        [["m1", "m2"], "m3"],
        {"GET /gmail/v1/users/me/messages": 1, "POST /gmail/v1/users/me/messages/send": 1},
    ),
    "google_calendar": Case(
        "cal",
        "googlecalendar",
        GOOGLE,
        [["lunch"], "e1"],
        {"GET /calendar/v3/calendars/primary/events": 1, "POST /calendar/v3/calendars/primary/events": 1},
    ),
    "jira": Case(
        "tracker",
        "jira",
        {**BASIC, "base_url": "{http}/jira"},
        ["P-1", "It broke"],
        {"POST /jira/rest/api/2/issue": 1, "GET /jira/rest/api/2/issue/P-1": 1},
    ),
    "confluence": Case(
        "wiki",
        "confluence",
        {**BASIC, "base_url": "{http}/wiki"},
        ["77", "Notes"],
        {"POST /wiki/rest/api/content": 1, "GET /wiki/rest/api/content/77": 1},
    ),
    "discord": Case(
        "bot",
        "discord",
        {"token": "bot-secret", "base_url": "{http}/discord"},
        ["9", "helper"],
        {"POST /discord/channels/1/messages": 1, "GET /discord/users/@me": 1},
    ),
    "openai": Case(
        "gpt",
        "openai",
        {"api_key": "gpt-secret", "base_url": "{http}/openai"},
        ["hello", ["m"]],
        {"POST /openai/chat/completions": 1, "GET /openai/models": 1},
    ),
    "anthropic": Case(
        "claude",
        "anthropic",
        {"api_key": "claude-secret", "base_url": "{http}/anthropic"},
        ["hello", 2],
        {MESSAGES: 2},
    ),
    "aws": Case(
        "cloud",
        "aws",
        {"access_key_id": "AKIA", "secret_key": "aws-secret", "base_url": "{http}/aws"},
        ["b"],
        {"PUT /aws/b/k": 1, "GET /aws/": 1},
    ),
    "redis": Case("cache", "redis", {"url": "{redis}"}, [1, 2, "2"], {"INCR n": 2, "GET n": 1}),
    "smtp": Case(
        "post",
        "smtp",
        {"host": "127.0.0.1", "port": "{smtp}", "security": "none", "username": "u", "password": "mail-secret"},
        "sent",
        {"DATA b@example.com": 1, "DATA c@example.com": 1},
    ),
}


class Killing:
    """Kills each session's runner once, between the handler's two calls."""

    def __init__(self) -> None:
        self.killed: set[str] = set()

    def __call__(self, session: str, _number: int, entry: jpb.Entry) -> Fault | None:
        if entry.function != "random.random" or session in self.killed:
            return None
        self.killed.add(session)
        return "kill-runner"


@pytest.fixture(scope="module", name="python")
def _python() -> Path:
    found, why = interpreter()
    if found is None:
        pytest.skip(why)
    return found


@pytest.fixture(scope="module", name="folder")
def _folder(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, run by the interpreter that has the vendors' libraries."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    (folder / "perdure.yaml").write_text(f"name: clients\npython: {python}\n")
    return folder


@pytest.fixture(name="stubs")
def _stubs() -> Iterator[dict[str, Stub]]:
    with ExitStack() as stack:
        yield {
            "http": stack.enter_context(http_stub(ROUTES)),
            "redis": stack.enter_context(redis_stub()),
            "smtp": stack.enter_context(smtp_stub()),
        }


async def run(
    folder: Path, scratch: Path, entry: str, connections: Mapping[str, Case], places: Mapping[str, str]
) -> tuple[pb.Session, bool]:
    """The session of a handler, killed once in the middle, and whether it was."""
    killing = Killing()
    async with Engine.in_memory(scratch, faults=killing) as engine:
        for case in connections.values():
            values = {key: value.format(**places).encode() for key, value in case.values.items()}
            request = pb.PutConnectionRequest(
                project="clients", name=case.connection, integration=case.integration, values=values
            )
            made = await engine.control.put_connection(request)
            assert not made.missing
        built = await builds.send(engine.control, builds.folder(folder, None), build_only=False)
        started = await engine.control.start_session(
            pb.StartSessionRequest(project=built.project, entry_point=entry, event=b"{}")
        )
        return await engine.wait_done(started.session_id), started.session_id in killing.killed


def places(stubs: Mapping[str, Stub]) -> dict[str, str]:
    return {name: stub.url.rpartition(":")[2] if name == "smtp" else stub.url for name, stub in stubs.items()}


def outcome(session: pb.Session) -> Any:
    assert session.state == "completed", session.error
    return json.loads(session.result.data)


def counted(stubs: Mapping[str, Stub]) -> dict[str, int]:
    lines = [line for stub in stubs.values() for line in stub.lines if not line.startswith("AUTH")]
    return {line: lines.count(line) for line in lines}


@pytest.mark.parametrize("name", CASES)
def test_a_client_survives_a_crash_and_each_call_is_made_once(
    name: str, folder: Path, tmp_path: Path, stubs: dict[str, Stub]
) -> None:
    case = CASES[name]
    session, killed = asyncio.run(run(folder, tmp_path, f"clients.py:{name}", {name: case}, places(stubs)))
    assert outcome(session) == case.result
    assert counted(stubs) == case.calls
    assert killed
