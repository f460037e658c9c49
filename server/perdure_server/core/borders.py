"""What is known of an error code: how it is explained, and how it leaves the process."""

from enum import IntEnum
from typing import NamedTuple


class Exit(IntEnum):
    """Exit codes of the command line."""

    COMPLETED = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DIVERGED = 4


class Explanation(NamedTuple):
    """The long form of a code: one line, one paragraph, and what to do."""

    title: str
    why: str
    remedy: str


class Border(NamedTuple):
    """What a code becomes outside: the name of a gRPC status, and an exit code."""

    status: str
    exit: Exit
