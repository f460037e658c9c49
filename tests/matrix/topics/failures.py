"""Exceptions of activities, live and replayed."""

from matrix.probe import Probe

PROBES = [
    Probe(
        "custom_constructor",
        """
import abroad
def main(url):
    try: abroad.fail(url, 7)
    except abroad.Trouble as error: return [error.code, error.where, str(error), type(error) is abroad.Trouble]
""",
        [7, "here", "trouble 7", True],
        "abroad.fail",
    ),
    Probe(
        "chained",
        """
import abroad
def main(url):
    try: abroad.fail_because(url)
    except ValueError as error:
        return [str(error), type(error.__cause__).__name__, error.__suppress_context__]
""",
        ["value", "KeyError", True],
        "abroad.fail_because",
    ),
    Probe(
        "groups",
        """
import abroad
def main(url):
    seen = []
    try: abroad.fail_many(url)
    except* ValueError as group: seen.append([str(e) for e in group.exceptions])
    except* abroad.Trouble as group: seen.append([e.code for e in group.exceptions])
    return seen
""",
        [["one"], [2]],
        "abroad.fail_many",
    ),
    Probe(
        "tracebacks_and_notes",
        """
import traceback, abroad
def main(url):
    try: abroad.fail(url, 1)
    except abroad.Trouble as error:
        error.add_note("note")
        names = [f.name for f in traceback.extract_tb(error.__traceback__)]
        return [names[0], names[-1], error.__notes__]
""",
        ["main", "fail", ["note"]],
        "abroad.fail",
    ),
    Probe(
        "exits_and_interrupts",
        """
import abroad, asyncio
def main(url):
    seen = []
    for error in (SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), RecursionError("r")):
        try: abroad.fail_with(url, error)
        except BaseException as caught: seen.append(type(caught).__name__)
    return seen
""",
        ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError", "RecursionError"],
        asks=5,
    ),
    Probe(
        "stop_iteration",
        """
import abroad
def main(url):
    try: abroad.fail_with(url, StopIteration(3))
    except StopIteration as error: a = error.value
    def g():
        abroad.fail_with(url, StopIteration(4))
        yield
    try: list(g())
    except RuntimeError as error: return [a, str(error)]
""",
        [3, "generator raised StopIteration"],
        asks=2,
    ),
    Probe(
        "own_exception_with_slots",
        """
import abroad
class Own(Exception):
    __slots__ = ("extra",)
    def __init__(self, extra): self.extra = extra
def main(url):
    try: abroad.fail_with(url, Own([1]))
    except Own as error: return error.extra
""",
        [1],
        "abroad.fail_with",
    ),
    Probe(
        "local_exception_class",
        """
import abroad
def main(url):
    class Local(ValueError): pass
    try: abroad.fail_with(url, Local("x"))
    except Local as error: return [str(error), type(error).__name__]
""",
        ["x", "Local"],
        "abroad.fail_with",
    ),
    Probe(
        "same_exception_object",
        """
import abroad
def main(url):
    error = ValueError("x")
    try: abroad.fail_with(url, error)
    except ValueError as caught: return caught is error
""",
        True,
        "abroad.fail_with",
    ),
    Probe(
        "finally_and_reraise",
        """
import outside
def main(url):
    seen = []
    try:
        try: outside.get(url + "/status/404/no")
        except outside.OutsideError:
            seen.append(outside.get(url + "/except"))
            raise
        finally: seen.append(outside.get(url + "/finally"))
    except outside.OutsideError as error: seen.append(error.text)
    else: seen.append("else")
    return seen
""",
        ["except", "finally", "no"],
        "outside.get*3",
    ),
    Probe(
        "unhandled",
        """
import outside
def main(url):
    outside.get(url + "/a")
    raise LookupError("nothing")
""",
        None,
        "outside.get",
        error="LookupError: nothing",
    ),
    Probe(
        "exit_of_the_program",
        """
import sys, outside
def main(url):
    print(outside.get(url + "/a"))
    sys.exit(0)
""",
        None,
        "outside.get",
        prints=("a",),
    ),
    Probe(
        "output_in_order",
        """
import logging, sys, outside
def main(url):
    print("one", end=" "); print(outside.get(url + "/a"), flush=True)
    sys.stdout.write("half"); sys.stdout.write(" line\\n")
    print(*[outside.get(f"{url}/{n}") for n in "bc"], sep="\\n")
""",
        None,
        "outside.get*3",
        prints=("one a", "half line", "b", "c"),
    ),
]
