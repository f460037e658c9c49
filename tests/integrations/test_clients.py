"""Every client factory against a stub of its service: recorded, killed in the middle, replayed; each call made once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_server.app.engine import Engine
from perdure_server.cli import builds
from perdure_server.coordinator.settings import Fault
from vendor_answers import ROUTES
from vendor_home import has_user, interpreter
from vendor_stubs import Stub, http_stub, redis_stub, smtp_stub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROJECT = Path(__file__).parent / "project"
AT_ONCE = 3
STUBS = {"redis": redis_stub, "smtp": smtp_stub}
"""All others speak HTTP."""


class Case(NamedTuple):
    """`values` of a connection, in which {url} and {port} are those of the stub; `calls`: how often it gets which."""

    connection: str
    integration: str
    values: Mapping[str, str]
    result: Any
    calls: Mapping[str, int]


GOOGLE = {"oauth_access_token": "ya29-secret", "base_url": "{url}"}
BASIC = {"email": "me@example.com", "token": "atl-secret"}
MESSAGES = "POST /anthropic/v1/messages"
CASES = {
    "http": Case(
        "api",
        "http",
        {"base_url": "{url}/http", "token": "http-secret"},
        [1, "thing"],
        {"POST /http/things": 1, "GET /http/things/1": 1},
    ),
    "slack": Case(
        "team",
        "slack",
        {"token": "xoxb-secret", "base_url": "{url}/slack"},
        ["171.001", ["general"]],
        {"POST /slack/chat.postMessage": 1, "POST /slack/conversations.list": 1},
    ),
    "github": Case(
        "hub",
        "github",
        {"token": "ghp-secret", "base_url": "{url}/github"},
        ["octo/cat", 7],
        {"GET /github/repos/octo/cat": 1, "POST /github/repos/octo/cat/issues": 1},
    ),
    "google_sheets": Case(
        "sheets",
        "googlesheets",
        GOOGLE,
        [[["a", "b"], ["c", "d"]], 1],
        {"GET /v4/spreadsheets/s1/values/A1%3AB2": 1, "PUT /v4/spreadsheets/s1/values/A1": 1},
    ),
    "gspread": Case(
        "book",
        "googlesheets",
        GOOGLE,
        ["Sheet1", [["a", "b"], ["c", "d"]]],
        {"GET /v4/spreadsheets/s1": 2, "GET /v4/spreadsheets/s1/values/%27Sheet1%27": 1},
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
        {**BASIC, "base_url": "{url}/jira"},
        ["P-1", "It broke"],
        {"POST /jira/rest/api/2/issue": 1, "GET /jira/rest/api/2/issue/P-1": 1},
    ),
    "confluence": Case(
        "wiki",
        "confluence",
        {**BASIC, "base_url": "{url}/wiki"},
        ["77", "Notes"],
        {"POST /wiki/content": 1, "GET /wiki/content/77": 1},
    ),
    "discord": Case(
        "bot",
        "discord",
        {"token": "bot-secret", "base_url": "{url}/discord"},
        ["9", "helper"],
        {"POST /discord/channels/1/messages": 1, "GET /discord/users/@me": 1},
    ),
    "openai": Case(
        "gpt",
        "openai",
        {"api_key": "gpt-secret", "base_url": "{url}/openai"},
        ["hello", ["m"]],
        {"POST /openai/chat/completions": 1, "GET /openai/models": 1},
    ),
    "anthropic": Case(
        "claude",
        "anthropic",
        {"api_key": "claude-secret", "base_url": "{url}/anthropic"},
        ["hello", 2],
        {MESSAGES: 2},
    ),
    "aws": Case(
        "cloud",
        "aws",
        {"access_key_id": "AKIA", "secret_key": "aws-secret", "base_url": "{url}/aws"},
        ["b"],
        {"PUT /aws/b/k": 1, "GET /aws": 1},
    ),
    "module_level": Case(
        "module",
        "slack",
        {"token": "xoxb-secret", "base_url": "{url}/slack"},
        ["171.001", "general"],
        {"POST /slack/chat.postMessage": 1, "POST /slack/conversations.list": 1},
    ),
    "redis": Case("cache", "redis", {"url": "{url}"}, [1, 2, "2"], {"INCRBY n": 2, "GET n": 1}),
    "smtp": Case(
        "post",
        "smtp",
        {"host": "127.0.0.1", "port": "{port}", "security": "none", "username": "u", "password": "mail-secret"},
        "sent",
        {"DATA b@example.com": 1, "DATA c@example.com": 1},
    ),
}


DATABASES = {
    name: Case("db", "postgres", {"url": "{url}"}, result, {})
    for name, result in {"postgres": [1], "postgres_open": True, "postgres_committed": 1}.items()
}
OTHERS = {
    "generic": Case("other", "generic", {"token": "[1, 2]"}, [1, 2], {}),
    "unset": Case(
        "other",
        "generic",
        {},
        [
            "ConnectionInitError",
            "P0230",
            "connection 'nobody' is not set up: nobody__token or nobody__oauth_access_token has no value",
            "perdure connections add slack nobody --set token=@FILE",
        ],
        {},
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


class Ran(NamedTuple):
    """What became of one handler, and what it asked of its stub."""

    session: pb.Session
    killed: bool
    lines: list[str]


@contextmanager
def postgres() -> Iterator[Stub | None]:
    """A throwaway cluster; None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    user = "postgres" if has_user("postgres") else None
    if not found or (os.geteuid() == 0 and user is None):
        yield None
        return
    place = Path(tempfile.mkdtemp(prefix="perdure-pg-"))
    data = place / "data"
    if user:
        shutil.chown(place, user)
    options = f"-c listen_addresses='' -c unix_socket_directories={place} -c fsync=off"
    tool = found[-1].parent
    subprocess.run([tool / "initdb", "-A", "trust", "-U", "me", data], check=True, user=user, stdout=subprocess.DEVNULL)
    start = [tool / "pg_ctl", "-w", "-D", data, "-l", place / "log", "-o", options]
    subprocess.run([*start, "start"], check=True, user=user, stdout=subprocess.DEVNULL)
    try:
        yield Stub(f"postgresql://me@/postgres?host={place}")
    finally:
        subprocess.run([*start, "-m", "immediate", "stop"], check=True, user=user, stdout=subprocess.DEVNULL)
        shutil.rmtree(place)


@pytest.fixture(scope="module", name="ran")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """All handlers, once: in one coordinator, each with a stub and a runner of its own that is killed in the middle."""
    python, why = interpreter()
    if python is None:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    (folder / "perdure.yaml").write_text(f"name: clients\npython: {python}\n")
    with ExitStack() as stack:
        stubs = {name: stack.enter_context(STUBS.get(name, lambda: http_stub(ROUTES))()) for name in CASES | OTHERS}
        if (cluster := stack.enter_context(postgres())) is not None:
            stubs |= dict.fromkeys(DATABASES, cluster)
        return asyncio.run(_run_all(folder, tmp_path_factory.mktemp("scratch"), stubs))


async def _run_all(folder: Path, scratch: Path, stubs: Mapping[str, Stub]) -> dict[str, Ran]:
    cases = {name: case for name, case in (CASES | OTHERS | DATABASES).items() if name in stubs}
    killing, places = Killing(), asyncio.Semaphore(AT_ONCE)
    async with Engine.in_memory(scratch, faults=killing) as engine:
        for name, case in cases.items():
            await _connect(engine, case, stubs[name].url)
        built = await builds.send(engine.control, builds.folder(folder, None), build_only=False)

        async def run(name: str) -> Ran:
            entry = "module_level.py:main" if name == "module_level" else f"clients.py:{name}"
            request = pb.StartSessionRequest(project=built.project, entry_point=entry, event=b"{}")
            async with places:
                started = await engine.control.start_session(request)
                session = await engine.wait_done(started.session_id)
            return Ran(session, started.session_id in killing.killed, stubs[name].lines)

        return dict(zip(cases, await asyncio.gather(*map(run, cases)), strict=True))


async def _connect(engine: Engine, case: Case, url: str) -> None:
    values = {key: value.format(url=url, port=url.rpartition(":")[2]).encode() for key, value in case.values.items()}
    request = pb.PutConnectionRequest(
        project="clients", name=case.connection, integration=case.integration, values=values
    )
    made = await engine.control.put_connection(request)
    assert not made.missing


def result_of(ran: Ran) -> Any:
    assert ran.session.state == "completed", ran.session.error
    return json.loads(ran.session.result.data)


@pytest.mark.parametrize("name", CASES)
def test_a_client_survives_a_crash_and_each_call_is_made_once(name: str, ran: dict[str, Ran]) -> None:
    case, told = CASES[name], ran[name]
    assert result_of(told) == case.result
    lines = [line for line in told.lines if not line.startswith("AUTH")]
    assert {line: lines.count(line) for line in lines} == case.calls
    assert told.killed


@pytest.mark.parametrize("name", DATABASES)
def test_a_database_does_each_thing_once_or_says_that_it_was_undone(name: str, ran: dict[str, Ran]) -> None:
    if name not in ran:
        pytest.skip("PostgreSQL is not installed, or may not be started by this user")
    assert result_of(ran[name]) == DATABASES[name].result
    assert ran[name].killed


@pytest.mark.parametrize("name", OTHERS)
def test_values_without_a_client(name: str, ran: dict[str, Ran]) -> None:
    assert result_of(ran[name]) == OTHERS[name].result


def test_no_credential_is_in_what_people_see(ran: dict[str, Ran]) -> None:
    shown = " ".join(str(told.session) for told in ran.values())
    assert [word for word in ("xoxb-secret", "gpt-secret", "aws-secret", "mail-secret") if word in shown] == []
