"""`sys.stdout` of a session, beyond what a plain run can be compared with."""

import io

from perdure_runner.child import output
from perdure_runner.child.place import Place
from perdure_runner.child.policy.known import Verdict
from perdure_runner.child.policy.policy import Policy
from perdure_runner.child.values.fingerprint import fingerprint


class Link:
    """Takes lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, row: dict[str, object]) -> None:
        self.lines.append(str(row["x"]))


def stream() -> output.SessionStream:
    taken = output.Output(Link(), Place, (0, -1), 1000)
    return output.SessionStream(taken, output.StreamKind.STDOUT)


def test_methods_that_it_inherits_from_c_are_no_activities() -> None:
    policy = Policy(lambda _file: False)
    out = stream()
    asked = (out.flush, out.writelines, out.isatty, out.fileno, out.close, out.buffer.flush, out.buffer.readline)
    assert {policy.verdict(method) for method in asked} == {Verdict.DIRECT}
    in_memory = (io.StringIO().flush, io.StringIO().close, io.BytesIO().readline, io.BytesIO().isatty)
    assert {policy.verdict(method) for method in in_memory} == {Verdict.DIRECT}
    with open(__file__) as file:
        assert policy.verdict(file.flush) is Verdict.ACTIVITY


def test_what_is_behind_it_is_no_part_of_an_argument() -> None:
    """Else a call that is given the stream would be given all that we know of the session, and could change it."""
    one, other = stream(), stream()
    before = fingerprint([one])
    one.write("a line\n")
    one.write("a part")
    assert fingerprint([one]) == before == fingerprint([other])


def test_it_can_be_reconfigured_as_a_text_file_can() -> None:
    out = stream()
    out.reconfigure(line_buffering=True, encoding="utf-8")
    assert out.line_buffering
