"""What people see: side by side divergence, user frames, tables, times, no control characters of others."""

import datetime as dt

import cli_samples as samples
import click
import pytest
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_server.cli import render
from perdure_server.cli.compare import Difference
from perdure_server.core.errors import PerdureError

NOW = dt.datetime(2026, 11, 18, 10, 28, 40, tzinfo=dt.UTC)


def test_a_divergence_shows_both_calls_with_file_line_and_source() -> None:
    text = click.unstyle(render.divergence(samples.divergence(), "s1", 100))
    lines = text.splitlines()
    assert lines[0] == "error[P0501] the code makes another call than the journal has (another function)"
    rows = {line.split()[0]: line for line in lines[2:6]}
    assert rows["call"].split() == ["call", "requests.api.get", "random.random"]
    assert rows["at"].split() == ["at", "main.py:12", "main.py:99"]
    assert "x = requests.api.get()" in rows["source"]
    assert "x = random.random()" in rows["source"]
    assert "'http://a'" in rows["args"]
    assert "perdure sessions fork s1 --from 2" in text
    assert "pin the old build" in text


def test_a_divergence_by_an_early_end_says_so() -> None:
    message = journal.Divergence(recorded=samples.row(3, 2, journal.ENTRY_KIND_STARTED))
    text = click.unstyle(render.divergence(message, "s1", 100))
    assert text.startswith("error[P0502]")
    assert "the code ended here" in text


def test_long_arguments_wrap_inside_their_column() -> None:
    message = samples.divergence()
    message.recorded.args_preview = "y" * 300
    text = click.unstyle(render.divergence(message, "s1", 80))
    facts = text.splitlines()[1:-5]
    assert max(len(line) for line in facts) <= 80
    assert text.count("y") >= 300


def test_an_error_of_user_code_is_shown_as_python_shows_it() -> None:
    frames = [
        journal.Frame(file="main.py", line=3, name="main", source="    helper()\n"),
        journal.Frame(file="lib.py", line=9, name="helper", source=""),
    ]
    error = journal.Error(type="ValueError", message="no luck", traceback=frames)
    assert click.unstyle(render.failure(error)).splitlines() == [
        "Traceback (most recent call last):",
        '  File "main.py", line 3, in main',
        "    helper()",
        '  File "lib.py", line 9, in helper',
        "ValueError: no luck",
    ]


def test_an_error_of_ours_in_a_session_keeps_its_code_and_help() -> None:
    error = journal.Error(type="ModuleNotFoundError", message="no module 'x'", code="P0301", help="add it")
    assert click.unstyle(render.failure(error)) == "error[P0301] ModuleNotFoundError: no module 'x'\nhelp: add it"


@pytest.mark.parametrize(
    ("wait", "text"),
    [
        (
            journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=int(NOW.timestamp() + 3 * 86400) * 10**6),
            "a timer, until 2026-11-21 10:28:40 UTC (in 3 days)",
        ),
        (
            journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=["a", "b"]),
            "a signal named a or b, for as long as it takes",
        ),
        (
            journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=["ses_1"]),
            "the end of ses_1, for as long as it takes",
        ),
        (journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=1), "a timer, until 1970-01-01 00:00:00 UTC (due)"),
    ],
)
def test_a_wait_says_what_for_and_until_when(wait: journal.Wait, text: str) -> None:
    assert render.waiting(samples.session("waiting", waiting_for=wait), NOW) == text


def test_a_wait_far_beyond_the_calendar_is_still_told() -> None:
    wait = journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=2**62)
    assert "9999-12-31" in render.waiting(samples.session("waiting", waiting_for=wait), NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0032, "3.2 ms"), (1.25, "1.2 s"), (41, "41 s"), (720, "12 min"), (5 * 3600, "5 h"), (9 * 86400, "9 days")],
)
def test_a_duration_has_one_unit(seconds: float, text: str) -> None:
    assert render.duration(seconds) == text


def test_the_list_has_relative_times_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    wait = journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=["go"])
    render.sessions([samples.session("waiting", waiting_for=wait), samples.session("completed", "s2")], NOW)
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert "2 min ago" in first
    assert "a signal named go" in first
    assert "s2" in second
    render.sessions([], NOW)
    assert capsys.readouterr() == ("", "no sessions\n")


def test_what_is_piped_is_neither_cut_nor_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("A", "B"), [("completed", "x" * 5000), ("[bold]not markup", "z")])
    out = capsys.readouterr().out
    assert "x" * 5000 in out
    assert "\x1b" not in out
    assert "[bold]not markup" in out


def test_control_characters_of_user_code_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert render.clean("a\x1b[31m\nb") == "a\\x1b[31m\\nb"
    render.table(("A",), [("\x1b]0;title\x07",)])
    assert "\x1b" not in capsys.readouterr().out
    assert render.cut("y" * 100, 10) == "y" * 9 + "…"


def test_output_goes_where_the_handler_sent_it(capsys: pytest.CaptureFixture[str]) -> None:
    render.output(samples.line(0, 0, "out"))
    render.output(samples.line(0, 1, "err", journal.STREAM_STDERR))
    render.output(samples.line(0, 2, "said", journal.STREAM_LOG, "INFO"))
    out, err = capsys.readouterr()
    assert out == "out\n"
    assert err.splitlines()[0] == "err"
    assert err.splitlines()[1].endswith(" INFO    said")


def test_a_session_is_shown_with_its_calls_and_output(capsys: pytest.CaptureFixture[str]) -> None:
    entries = samples.activity(1, 1, samples.json_payload("42"), args_preview="'http://a'")
    error = journal.Error(type="ValueError", message="no")
    message = samples.session("failed", error=error, ended_at="2026-11-18T10:26:42Z", forked_from="s0")
    render.session(message, entries, [samples.line(1, 0, "hi")], NOW)
    out = capsys.readouterr().out
    for part in ("s1", "failed", "2 min ago", "2.0 s", "s0", "requests.api.get('http://a')", "main.py:11", "42", "hi"):
        assert part in out
    assert out.rstrip().endswith("ValueError: no")


def test_history_shows_every_row_with_what_it_brought(capsys: pytest.CaptureFixture[str]) -> None:
    wait = journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=samples.T0)
    how = journal.Resolution(kind=journal.RESOLUTION_KIND_SIGNALLED, name="go")
    raised = samples.activity(1, 1, samples.pickle_payload("KeyError('k')"), is_error=True)
    render.history(
        [
            *raised,
            samples.row(3, 2, journal.ENTRY_KIND_WAIT, "time.sleep", wait=wait),
            samples.row(4, 2, journal.ENTRY_KIND_RESOLVED, "time.sleep", resolution=how),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "raised KeyError('k')" in lines[2]
    assert "until 2026-11-18T11:06:40" in lines[3]
    assert "signalled go" in lines[4]


def test_updates_are_single_lines(capsys: pytest.CaptureFixture[str]) -> None:
    wait = journal.Wait(kind=journal.WAIT_KIND_SIGNAL)
    for update in (
        control.SessionUpdate(session=samples.session("waiting", waiting_for=wait)),
        control.SessionUpdate(entry=samples.activity(1, 1, samples.json_payload("42"))[1]),
        control.SessionUpdate(log=samples.line(0, 0, "two\nlines")),
    ):
        render.update(update, NOW)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "waiting for a signal" in lines[0]
    assert "requests.api.get" in lines[1]
    assert lines[2].endswith("two\\nlines")


def test_the_end_of_a_session_is_one_line_of_talk(capsys: pytest.CaptureFixture[str]) -> None:
    render.ending(samples.session(ended_at="2026-11-18T10:26:41.5Z"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "completed: session s1, 4 entries, 1.5 s\n"


def test_problems_of_ours_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    render.problem(
        PerdureError("P0102", "unknown key 'x'", help="try y", file="a.yaml", line=1, column=1, source="x: 1")
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error[P0102] a.yaml:1:1 unknown key 'x'\n  x: 1\n  ^\nhelp: try y\n"


def test_a_difference_of_check_begins_with_its_place() -> None:
    found = Difference("main.py", 7, "another call", "a()", "b()")
    assert click.unstyle(render.difference(found, "killed after entry 3")).splitlines() == [
        "main.py:7: another call (killed after entry 3)",
        "  expected  a()",
        "  found     b()",
    ]
