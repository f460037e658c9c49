"""`perdure.testing`: handlers in tests, with real runners and a journal in memory."""

import json
import random
import time
import uuid

import perdure
import pytest
from perdure import testing
from perdure_server.core.errors import PerdureError


def on_order(event):
    number = random.randrange(10**9)
    print(f"order {number}")
    time.sleep(30 * 24 * 3600)
    answer = perdure.next_signal("paid", timeout=5)
    return {"number": number, "paid": answer.payload if answer else None, "item": event["item"]}


def unsteady(event):
    with perdure.inhibit_activities():
        branches = uuid.uuid4().int
    return [time.time() if branches >> i & 1 else uuid.uuid4().hex for i in range(8)]


class Loud:
    def __setstate__(self, state):
        print("rebuilt")
        self.__dict__ = state


@perdure.activity
def loud():
    print("made")
    made = Loud()
    made.number = random.random()
    return made


def prints_while_it_is_rebuilt(event):
    made = loud()
    print("got it")
    return made.number


def failing(event):
    raise LookupError(event)


def test_a_month_passes_and_signals_arrive():
    outcome = testing.run(on_order, {"item": "tea"}, signals={"paid": {"amount": 7}})
    assert outcome.result["paid"] == {"amount": 7}
    assert outcome.functions() == ["random.randrange", "time.sleep", "perdure.next_signal"]
    assert outcome.prints == [f"order {outcome.result['number']}"]
    assert outcome.calls[1].kind == "timer"
    assert outcome.calls[0].file == "test_testing.py"


@pytest.mark.parametrize("entry", [1, 2, 3])
def test_a_crash_changes_nothing(entry):
    outcome = testing.run(on_order, {"item": "tea"}, crash_after=entry)
    assert outcome.result["paid"] is None
    assert len(outcome.prints) == 1


def test_a_failure_is_an_outcome():
    outcome = testing.run(failing, "x")
    assert (outcome.state, outcome.error) == ("failed", "LookupError: x")
    with pytest.raises(testing.HandlerFailed, match="LookupError: x"):
        outcome.result  # noqa: B018


def test_check_names_the_line_of_an_unsteady_program():
    assert testing.check(on_order, {"item": "tea"}).state == "completed"
    with pytest.raises(testing.HandlerDiffers, match=r"test_testing\.py:\d+ "):
        testing.check(unsteady)


def test_what_rebuilding_a_value_prints_belongs_to_its_activity():
    prints = testing.check(prints_while_it_is_rebuilt).prints
    assert (prints[0], prints[-1]) == ("made", "got it")


async def test_it_works_inside_an_event_loop(tmp_path):
    (tmp_path / "main.py").write_text("def main(event):\n    return event\n")
    assert testing.run(f"{tmp_path}:main.py:main", json.loads("[1]")).result == [1]


def test_a_handler_must_be_found_by_its_name():
    with pytest.raises(TypeError, match="no top-level function"):
        testing.run(lambda event: event)


def test_an_interpreter_that_is_not_there_fails_at_once(tmp_path):
    (tmp_path / "main.py").write_text("def main(event):\n    return event\n")
    (tmp_path / "perdure.yaml").write_text('python: "3.99"\n')
    with pytest.raises(PerdureError, match=r"no host has Python 3\.99") as caught:
        testing.run(f"{tmp_path}:main.py:main")
    assert caught.value.code == "P0213"
