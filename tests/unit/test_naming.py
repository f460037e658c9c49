"""Errors of user code that are a limit of its project's: named after it, and no others."""

import pytest
from perdure_proto.v1.journal_pb2 import Error, Frame
from perdure_proto.v1.runner_pb2 import Limits
from perdure_runner.host.naming import name_limit

LIMITS = Limits(memory_bytes=64 << 20, processes=20, open_files=64, disk_bytes=5 << 20, files=50)
FORK = Frame(file="main.py", line=1, name="main", source="pid = os.fork()")


def named(
    kind: str, message: str, limits: Limits = LIMITS, *, confined: bool = True, code: str = ""
) -> tuple[str, str]:
    error = Error(type=kind, message=message, code=code)
    name_limit(error, limits, confined=confined)
    return error.code, error.help


@pytest.mark.parametrize(
    ("kind", "message", "code", "told"),
    [
        ("MemoryError", "", "P0603", "memory: limit 64 MiB"),
        (
            "OSError",
            "[Errno 28] No space left on device",
            "P0607",
            "disk: limit 5 MiB or files: limit 50, all of it used",
        ),
        ("RuntimeError", "can't start new thread", "P0606", "processes: limit 20, all of them used"),
        ("OSError", "[Errno 24] Too many open files: '/dev/null'", "P0612", "open_files: limit 64, all of them used"),
    ],
)
def test_what_the_kernel_says_when_a_limit_is_reached(kind: str, message: str, code: str, told: str) -> None:
    found, text = named(kind, message)
    assert (found, told in text) == (code, True)
    assert named(kind, message, Limits()) == ("", ""), "a limit that there is not cannot be reached"
    assert named(kind, message, code="P0401")[0] == "P0401"


def test_a_fork_that_fails_is_told_from_other_things_that_are_not_ready() -> None:
    fork = Error(type="BlockingIOError", message="[Errno 11] Resource temporarily unavailable", traceback=[FORK])
    other = Error(type=fork.type, message=fork.message, traceback=[Frame(name="main", source="sock.recv(1)")])
    for error in (fork, other):
        name_limit(error, LIMITS, confined=True)
    assert (fork.code, other.code) == ("P0606", "")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("MemoryError", "the model is too large"), ("OSError", "[Errno 2] No such file"), ("ValueError", "[Errno 28]")],
)
def test_errors_of_another_kind_are_left_alone(kind: str, message: str) -> None:
    assert named(kind, message) == ("", "")


def test_where_nothing_confines_only_what_every_process_has_is_named() -> None:
    found = [named(kind, text, confined=False)[0] for kind, text in (("MemoryError", ""), ("OSError", "[Errno 24]"))]
    assert found == ["P0603", "P0612"]
    assert named("OSError", "[Errno 28] No space left on device", confined=False) == ("", "")
