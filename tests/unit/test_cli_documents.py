"""The JSON documents have exactly the keys of the design, and never need a pickle."""

import json

import cli_samples as samples
import pytest
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_server.cli import documents
from perdure_server.cli.calls import CallKind, CallState, assemble

ENTRIES = [
    *samples.activity(1, 1, samples.json_payload('{"a": [1, null]}'), args_preview="'u'"),
    samples.row(3, 2, journal.ENTRY_KIND_MARKER, "random.random", outcome=samples.json_payload("0.5")),
]


def test_a_session_is_the_document_of_the_design() -> None:
    message = samples.session(result=samples.json_payload('{"n": 1}'), ended_at="2026-11-18T10:26:42Z")
    logs = [samples.line(0, 0, "hello"), samples.line(1, 0, "oops", journal.STREAM_STDERR)]
    document = documents.session(message, ENTRIES, logs)
    assert document == {
        "session_id": "s1",
        "project": "demo",
        "build_id": "b" * 64,
        "entry_point": "main.py:main",
        "state": "completed",
        "result": {"n": 1},
        "error": None,
        "prints": ["hello"],
        "activities": [
            {
                "lane": "main",
                "seq": 2,
                "kind": "activity",
                "function": "requests.api.get",
                "state": "completed",
                "attempts": 1,
                "started_at": "2026-11-18T11:06:41.000000Z",
                "duration_ms": 2.5,
                "file": "main.py",
                "line": 11,
                "args": "'u'",
                "result": {"a": [1, None]},
            },
            {
                "lane": "main",
                "seq": 3,
                "kind": "marker",
                "function": "random.random",
                "state": "completed",
                "attempts": 1,
                "started_at": "2026-11-18T11:06:43.000000Z",
                "duration_ms": 0.0,
                "file": "main.py",
                "line": 12,
                "args": "",
                "result": 0.5,
            },
        ],
        "created_at": "2026-11-18T10:26:40.000000Z",
        "ended_at": "2026-11-18T10:26:42Z",
        "parent_id": None,
        "event_id": None,
    }


def test_the_error_of_a_session_has_its_users_frames() -> None:
    frame = journal.Frame(file="main.py", line=3, name="main", column=5, source="    boom()")
    error = journal.Error(type="ValueError", message="no", traceback=[frame])
    assert documents.error(samples.session("failed", error=error)) == {
        "type": "ValueError",
        "message": "no",
        "traceback": [{"file": "main.py", "line": 3, "name": "main"}],
    }


def test_a_divergence_without_an_error_becomes_one_that_names_both_places() -> None:
    error = documents.error(samples.session("diverged", divergence=samples.divergence()))
    assert error is not None
    assert error["type"] == "Diverged"
    assert "requests.api.get at main.py:12" in error["message"]
    assert "random.random at main.py:99" in error["message"]
    assert error["traceback"] == [{"file": "main.py", "line": 99, "name": "random.random"}]


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (samples.json_payload("[1, 2]"), [1, 2]),
        (samples.json_payload("null"), None),
        (samples.json_payload("NaN"), "NaN"),
        (samples.json_payload("{broken"), "{broken"),
        (samples.pickle_payload("<Response [200]>"), "<Response [200]>"),
        (journal.Payload(encoding=journal.ENCODING_JSON, blob="ab" * 32, preview="'xxx…"), "'xxx…"),
    ],
)
def test_a_value_is_json_where_it_is_at_hand_and_else_its_preview(payload: journal.Payload, shown: object) -> None:
    assert documents.value(payload) == shown


WAIT = {"wait": journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=samples.T0 + 90 * samples.SECOND)}
SIGNAL = {"wait": journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=["go"])}


def resolved(how: int, **more: object) -> journal.Entry:
    resolution = journal.Resolution(kind=how, **more)  # type: ignore[arg-type]  # canned values
    return samples.row(9, 1, journal.ENTRY_KIND_RESOLVED, resolution=resolution)


@pytest.mark.parametrize(
    ("rows", "kind", "state"),
    [
        ([samples.row(1, 1, journal.ENTRY_KIND_STARTED)], CallKind.ACTIVITY, CallState.RUNNING),
        (
            [samples.row(1, 1, journal.ENTRY_KIND_STARTED), samples.row(2, 1, journal.ENTRY_KIND_RETRY, **WAIT)],
            CallKind.ACTIVITY,
            CallState.RETRYING,
        ),
        (
            [samples.row(1, 1, journal.ENTRY_KIND_ACTIVITY, is_error=True, outcome=samples.pickle_payload("E()"))],
            CallKind.ACTIVITY,
            CallState.FAILED,
        ),
        ([samples.row(1, 1, journal.ENTRY_KIND_WAIT, **WAIT)], CallKind.TIMER, CallState.WAITING),
        ([samples.row(1, 1, journal.ENTRY_KIND_WAIT, **SIGNAL)], CallKind.SIGNAL, CallState.WAITING),
        (
            [samples.row(1, 1, journal.ENTRY_KIND_WAIT, **WAIT), resolved(journal.RESOLUTION_KIND_FIRED)],
            CallKind.TIMER,
            CallState.COMPLETED,
        ),
        (
            [samples.row(1, 1, journal.ENTRY_KIND_WAIT, **SIGNAL), resolved(journal.RESOLUTION_KIND_TIMED_OUT)],
            CallKind.SIGNAL,
            CallState.TIMED_OUT,
        ),
        (
            [samples.row(1, 1, journal.ENTRY_KIND_WAIT, **SIGNAL), resolved(journal.RESOLUTION_KIND_CANCELLED)],
            CallKind.SIGNAL,
            CallState.CANCELLED,
        ),
        (
            [samples.row(1, 1, journal.ENTRY_KIND_SYSTEM, outcome=samples.json_payload("1"))],
            CallKind.SYSTEM,
            CallState.COMPLETED,
        ),
    ],
)
def test_the_rows_of_a_call_say_what_it_is_and_how_far(
    rows: list[journal.Entry], kind: CallKind, state: CallState
) -> None:
    (call,) = assemble(rows)
    assert (call.kind, call.state) == (kind, state)
    assert call.seq == rows[-1].seq
    assert (call.duration_us is None) == (state in {CallState.RUNNING, CallState.RETRYING, CallState.WAITING})


def test_a_retried_activity_counts_its_attempts_and_a_wait_lasts_until_it_is_resolved() -> None:
    rows = [
        samples.row(1, 1, journal.ENTRY_KIND_STARTED, attempt=1),
        samples.row(2, 1, journal.ENTRY_KIND_RETRY, attempt=1, **WAIT),
        resolved(journal.RESOLUTION_KIND_FIRED),
        samples.row(10, 1, journal.ENTRY_KIND_STARTED, attempt=2),
        samples.row(11, 1, journal.ENTRY_KIND_ACTIVITY, attempt=2, outcome=samples.json_payload("7")),
    ]
    (call,) = assemble(rows)
    assert (call.attempts, call.state, documents.activity(call)["result"]) == (2, CallState.COMPLETED, 7)
    (wait,) = assemble([samples.row(1, 1, journal.ENTRY_KIND_WAIT, **WAIT), resolved(journal.RESOLUTION_KIND_FIRED)])
    assert wait.duration_us == 8 * samples.SECOND


def test_a_signals_payload_is_the_result_of_its_wait() -> None:
    how = resolved(journal.RESOLUTION_KIND_SIGNALLED, name="go", payload=samples.json_payload('"yes"'))
    (call,) = assemble([samples.row(1, 1, journal.ENTRY_KIND_WAIT, **SIGNAL), how])
    assert documents.activity(call)["result"] == "yes"
    assert documents.entry(how)["resolution"] == {"how": "signalled", "name": "go", "payload": "yes"}


def test_history_logs_and_updates_are_lines_of_json() -> None:
    update = control.SessionUpdate(entry=ENTRIES[1])
    for document in (
        *map(documents.entry, ENTRIES),
        documents.log(samples.line(1, 2, "x", journal.STREAM_LOG, "INFO")),
        documents.update(update),
        documents.update(control.SessionUpdate(session=samples.session("waiting", waiting_for=WAIT["wait"]))),
        documents.update(control.SessionUpdate(log=samples.line(0, 0, "y"))),
    ):
        assert json.loads(json.dumps(document)) == document
    assert documents.update(update)["entry"]["kind"] == "activity"
    assert documents.wait(WAIT["wait"]) == {"kind": "timer", "until": "2026-11-18T11:08:10.000000Z", "names": []}


def test_times_beyond_the_calendar_are_its_end() -> None:
    assert documents.timestamp(10**18) == "9999-12-31T23:59:59.999999Z"
    assert documents.timestamp(0) is None


def test_a_replay_that_differs_says_both_calls() -> None:
    message = control.ReplaySessionResponse(entries=4)
    message.done.state = 4
    message.done.divergence.CopyFrom(samples.divergence())
    document = documents.replay("s1", message)
    assert document["agrees"] is False
    assert (document["recorded"]["line"], document["called"]["line"]) == (12, 99)
