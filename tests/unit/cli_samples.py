"""Canned messages and a fake `Control` for the tests of the command line."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal

T0 = 1_795_000_000_000_000  # 2026-11-18, in microseconds
SECOND = 1_000_000


def json_payload(text: str) -> journal.Payload:
    return journal.Payload(encoding=journal.ENCODING_JSON, data=text.encode(), preview=text[:20], size=len(text))


def pickle_payload(preview: str) -> journal.Payload:
    return journal.Payload(encoding=journal.ENCODING_PICKLE, data=b"\x80\x05N.", preview=preview, size=4)


def site(line: int, source: str = "") -> journal.CallSite:
    return journal.CallSite(file="main.py", line=line, column=5, source=source)


def row(
    seq: int, ordinal: int, kind: int, function: str = "requests.api.get", line: int = 0, **more: Any
) -> journal.Entry:
    """One row; `line` defaults to 10 + ordinal, its time to `seq` seconds after T0."""
    more.setdefault("args_digest", function.encode())
    return journal.Entry(
        seq=seq,
        lane="main",
        ordinal=ordinal,
        kind=kind,  # type: ignore[arg-type]  # a number of the enum
        function=function,
        site=site(line or 10 + ordinal, f"x = {function}()"),
        at_us=T0 + seq * SECOND,
        **more,
    )


def activity(seq: int, ordinal: int, outcome: journal.Payload, **more: Any) -> list[journal.Entry]:
    """The two rows of an activity, STARTED and its outcome, at `seq` and `seq + 1`."""
    return [
        row(seq, ordinal, journal.ENTRY_KIND_STARTED, attempt=1, **more),
        row(seq + 1, ordinal, journal.ENTRY_KIND_ACTIVITY, attempt=1, duration_us=2500, outcome=outcome, **more),
    ]


def line(ordinal: int, index: int, text: str, stream: int = journal.STREAM_STDOUT, level: str = "") -> journal.LogLine:
    return journal.LogLine(
        ordinal=ordinal,
        index=index,
        text=text,
        stream=stream,  # type: ignore[arg-type]  # a number of the enum
        level=level,
        at_us=T0 + ordinal * SECOND,
    )


def session(state: str = "completed", session_id: str = "s1", **more: Any) -> control.Session:
    return control.Session(
        session_id=session_id,
        project="demo",
        build_id="b" * 64,
        entry_point="main.py:main",
        state=state,
        created_at="2026-11-18T10:26:40.000000Z",
        durable=True,
        entries=4,
        **more,
    )


def divergence() -> journal.Divergence:
    return journal.Divergence(
        recorded=row(3, 2, journal.ENTRY_KIND_STARTED, args_preview="'http://a'"),
        called=row(0, 2, journal.ENTRY_KIND_MARKER, "random.random", line=99),
        reason="another function",
    )


@dataclass
class FakeControl:
    """Answers from what it was given and keeps what it was asked."""

    sessions: list[control.Session] = field(default_factory=list)
    entries: list[journal.Entry] = field(default_factory=list)
    logs: list[journal.LogLine] = field(default_factory=list)
    updates: list[control.SessionUpdate] = field(default_factory=list)
    replayed: control.ReplaySessionResponse = field(default_factory=control.ReplaySessionResponse)
    asked: list[Any] = field(default_factory=list)

    async def list_sessions(self, request: control.ListSessionsRequest) -> control.ListSessionsResponse:
        self.asked.append(request)
        ids = [each.session_id for each in self.sessions]
        begin = ids.index(request.before) + 1 if request.before else 0
        page = self.sessions[begin : begin + request.limit]
        more = begin + request.limit < len(self.sessions)
        return control.ListSessionsResponse(sessions=page, next=page[-1].session_id if more else "")

    async def get_session(self, request: control.GetSessionRequest) -> control.Session:
        return next(each for each in self.sessions if each.session_id == request.session_id)

    async def get_history(self, request: control.GetHistoryRequest) -> AsyncIterator[journal.Entry]:
        self.asked.append(request)
        for entry in self.entries:
            yield entry

    async def get_logs(self, request: control.GetLogsRequest) -> AsyncIterator[journal.LogLine]:
        self.asked.append(request)
        for each in self.logs:
            yield each

    async def watch_session(self, request: control.WatchSessionRequest) -> AsyncIterator[control.SessionUpdate]:
        self.asked.append(request)
        for update in self.updates:
            yield update

    async def signal_session(self, request: control.SignalSessionRequest) -> control.SignalSessionResponse:
        self.asked.append(request)
        return control.SignalSessionResponse(state="running")

    async def stop_session(self, request: control.StopSessionRequest) -> control.StopSessionResponse:
        self.asked.append(request)
        return control.StopSessionResponse(state="stopped")

    async def start_session(self, request: control.StartSessionRequest) -> control.StartSessionResponse:
        self.asked.append(request)
        return control.StartSessionResponse(session_id=request.session_id or "s1", state="created")

    async def fork_session(self, request: control.ForkSessionRequest) -> control.StartSessionResponse:
        self.asked.append(request)
        return control.StartSessionResponse(session_id="s2", state="created")

    async def replay_session(self, request: control.ReplaySessionRequest) -> control.ReplaySessionResponse:
        self.asked.append(request)
        return self.replayed

    async def deploy(self, parts: AsyncIterable[control.DeployRequest]) -> control.DeployResponse:
        self.asked += [part async for part in parts]
        return control.DeployResponse(
            project="demo",
            build_id="b" * 64,
            deployment_id="d1",
            exports=[control.Export(file="main.py", line=3, name="main", args=["event"])],
        )
