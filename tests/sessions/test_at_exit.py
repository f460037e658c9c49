"""What user code registers for its end, in real sessions."""

import atexit

import perdure
from perdure import testing


@perdure.activity
def close(name):
    return f"closed {name}"


def say(name):
    print(close(name))


def fail():
    raise LookupError("at the end")


def main(event):
    atexit.register(say, "first")
    atexit.register(fail)
    atexit.register(say, "last")
    return event


def test_functions_run_in_reverse_and_their_errors_are_only_printed():
    for entry in (0, 1, 2, 3, 4):
        outcome = testing.run(main, 7, crash_after=entry) if entry else testing.run(main, 7)
        assert outcome.result == 7
        assert outcome.prints == ["closed last", "closed first"]
        assert outcome.functions() == ["test_at_exit.close"] * 2
