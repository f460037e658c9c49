"""Which differences between two runs count, and where they are said to be."""

import cli_samples as samples
from perdure_proto.v1 import journal_pb2 as journal
from perdure_server.cli.compare import CHILD, SESSION, Run, differences
from perdure_server.cli.fetch import Whole


def run(
    session_id: str = "s1",
    *,
    first: str = "1",
    second: str = "requests.api.get",
    prints: tuple[tuple[int, str], ...] = ((0, "begin"), (1, "middle"), (2, "end")),
    result: str = "3",
    state: str = "completed",
    **more: object,
) -> Run:
    """Two activities, at lines 11 and 12, with a line of output before, between and after them."""
    entries = [
        *samples.activity(1, 1, samples.json_payload(first)),
        *samples.activity(3, 2, samples.json_payload("2"), function=second),
    ]
    lines = [samples.line(ordinal, 0, text) for ordinal, text in prints]
    message = samples.session(state, session_id, result=samples.json_payload(result), **more)
    return Run.of(Whole(message, entries, lines))


def test_equal_runs_do_not_differ_and_a_sessions_own_id_is_no_difference() -> None:
    a = run("aaa", prints=((0, "I am aaa"),), result='"aaa"')
    b = run("bbb", prints=((0, "I am bbb"),), result='"bbb"')
    assert differences(a, b, same_journal=False) == []
    assert differences(a, b, same_journal=True) == []


def test_another_call_is_reported_with_the_line_it_was_recorded_at() -> None:
    (found,) = differences(run(), run("s2", second="os.getpid"), same_journal=False)
    assert (found.file, found.line, found.what) == ("main.py", 12, "another call")
    assert "requests.api.get" in found.expected
    assert "os.getpid" in found.found


def test_a_missing_call_is_a_difference() -> None:
    a, b = run(), run("s2")
    b.calls.pop()
    (found,) = differences(a, b, same_journal=False)
    assert (found.line, found.found) == (12, "no call")
    (found,) = differences(b, a, same_journal=False)
    assert (found.line, found.expected) == (12, "no call")


def test_what_follows_another_answer_of_the_world_is_not_judged() -> None:
    changed = run("s2", first="99", second="os.getpid", prints=((0, "begin"), (1, "99")), result="99")
    assert differences(run(), changed, same_journal=False) == []


def test_what_precedes_another_answer_of_the_world_is_judged() -> None:
    changed = run("s2", first="99", prints=((0, "BEGIN"),))
    (found,) = differences(run(), changed, same_journal=False)
    assert found.what == "other output after this call (line 1 of all)"
    assert (found.file, found.line) == ("main.py", 1)


def test_a_replay_of_the_same_journal_is_judged_to_its_end() -> None:
    (found,) = differences(run(), run("s2", prints=((0, "begin"), (1, "middle"), (2, "END"))), same_journal=True)
    assert (found.line, found.expected, found.found) == (12, "end", "END")


def test_lost_and_repeated_lines_are_differences() -> None:
    for prints in (((0, "begin"), (2, "end")), ((0, "begin"), (1, "middle"), (1, "middle"), (2, "end"))):
        (found,) = differences(run(), run("s2", prints=prints), same_journal=False)
        assert found.what.startswith("other output")


def test_another_end_is_reported_after_the_last_call() -> None:
    (found,) = differences(run(), run("s2", result="4"), same_journal=False)
    assert (found.line, found.what, found.expected, found.found) == (12, "another end", "completed 3", "completed 4")


def test_a_divergence_names_the_line_of_the_call_that_differs() -> None:
    other = run("s2", state="diverged", divergence=samples.divergence())
    (found,) = differences(run(), other, same_journal=False)
    assert (found.file, found.line) == ("main.py", 99)
    assert "requests.api.get('http://a') at main.py:12" in found.expected
    assert "random.random" in found.found


def test_a_handler_that_ended_too_early_is_reported_where_the_journal_went_on() -> None:
    early = journal.Divergence(recorded=samples.row(3, 2, journal.ENTRY_KIND_STARTED))
    (found,) = differences(run(), run("s2", state="diverged", divergence=early), same_journal=False)
    assert (found.line, found.found) == (12, "nothing")


def knowing(session_id: str, child: str, third: str = "last", *, now: str = "1", cut: str = "") -> Run:
    """A run that starts a child, waits for it and hands both ids on, with arguments that tell them or `cut`."""
    told = cut or f"'{session_id} of {child}'"

    def request(seq: int, ordinal: int, function: str, args: str, answer: str) -> list[journal.Entry]:
        wait = journal.Wait(kind=journal.WAIT_KIND_REQUEST, names=[function.removeprefix("perdure.")])
        how = journal.Resolution(kind=journal.RESOLUTION_KIND_ANSWERED, payload=samples.json_payload(answer))
        asked = {"function": function, "args_digest": f"{args} {session_id}".encode(), "args_preview": args}
        return [
            samples.row(seq, ordinal, journal.ENTRY_KIND_WAIT, wait=wait, **asked),
            samples.row(seq + 1, ordinal, journal.ENTRY_KIND_RESOLVED, function=function, resolution=how),
        ]

    wait = journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=[child])
    report = samples.json_payload(f'{{"session_id":"{child}"}}')
    how = journal.Resolution(kind=journal.RESOLUTION_KIND_SIGNALLED, name=child, payload=report)
    signal = {"function": "perdure.next_signal", "args_digest": child.encode()}
    entries = [
        *request(1, 1, "perdure.session.start", f"{{'parent': '{session_id}'}}", f'"{child}"'),
        *request(3, 2, "perdure.session.watch", f"{{'session_ids': ['{child}']}}", f'{{"now_us":{now}}}'),
        samples.row(5, 3, journal.ENTRY_KIND_WAIT, wait=wait, **signal),
        samples.row(6, 3, journal.ENTRY_KIND_RESOLVED, resolution=how, function="perdure.next_signal"),
        *request(7, 4, "perdure.store.set", told, "1"),
        *samples.activity(9, 5, samples.json_payload("0"), args_digest=third.encode(), args_preview=third),
    ]
    message = samples.session("completed", session_id, result=samples.json_payload("0"))
    names = {child: CHILD, session_id: SESSION}
    return Run.of(Whole(message, entries, [samples.line(4, 0, f"I am {session_id}")]), names)


def test_names_that_each_run_has_of_its_own_are_no_difference_wherever_they_stand() -> None:
    assert differences(knowing("s1", "c1"), knowing("s2", "c2", now="2"), same_journal=False) == []
    assert differences(knowing("s1", "c1", cut="'x..."), knowing("s2", "c2", cut="'x..."), same_journal=False) == []


def test_what_differs_besides_the_names_is_found_after_them() -> None:
    (found,) = differences(knowing("s1", "c1"), knowing("s2", "c2", "LAST", now="2"), same_journal=False)
    assert (found.line, found.what) == (15, "another call")
    (found,) = differences(knowing("s1", "c1", cut="'x'"), knowing("s2", "c2", cut="'x'"), same_journal=False)
    assert (found.line, found.what) == (14, "another call")
    (found,) = differences(knowing("s1", "c1", cut="'x..."), knowing("s2", "c2", cut="'y..."), same_journal=False)
    assert found.line == 14


def test_an_end_by_an_error_of_perdures_own_is_judged_whatever_the_world_answered() -> None:
    frames = [journal.Frame(file="main.py", line=line, name="main") for line in (3, 12)]
    lost = journal.Error(type="perdure.HandleLost", message="gone", code="P0406", traceback=frames)
    changed = run("s2", first="99", state="failed", error=lost)
    (found,) = differences(run(), changed, same_journal=False)
    assert (found.file, found.line, found.what) == ("main.py", 12, "another end")
    assert found.found == "failed perdure.HandleLost: gone"
    assert differences(changed, run("s3", first="98", state="failed", error=lost), same_journal=False) == []
    raised = journal.Error(type="ValueError", message="no")
    assert differences(run(), run("s2", first="99", state="failed", error=raised), same_journal=False) == []
