"""Filters of system calls, as programs of the kernel's classic BPF (linux/filter.h, linux/seccomp.h).

A program looks at the architecture, judges a few calls by their arguments, and finds the rest by a binary search among
ranges of numbers. Calls that are newer than the table do not exist as far as a session can tell (ENOSYS): libraries
then do without them. Others are refused (EPERM).
"""

import errno
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from perdure_runner.child.sandbox import kernel, syscalls

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE = _ERRNO | errno.EPERM
_UNKNOWN = _ERRNO | errno.ENOSYS
_DONE = _ERRNO | 0  # not made, and no error
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_* of linux/audit.h
_X32 = 0x40000000  # from here on: the x32 ABI's numbers
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW*, NEWTIME's old bit included
_TYPES_INTO_TERMINALS = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Rules:
    """`families`: numbers of the address families whose sockets may be made, AF_*. `without`: names of calls that are
    refused, though others may make them. `exposed`: other processes and files of its user are in its reach.
    `resizing`: who has the capability may change the options of what is mounted, and mount nothing."""

    families: tuple[int, ...]
    without: tuple[str, ...] = ()
    exposed: bool = False
    resizing: bool = False


_COUNTED = ("inotify_init", "inotify_init1")
"""Of these the kernel has so many for each user: without a user namespace of its own, a session could take them all."""
_NAMED = ("shmget", "semget", "msgget", "mq_open")
"""What they make has names for the whole machine, and stays: for those who have an IPC namespace."""
_CHANGING = """
chown fchown fchownat fremovexattr fsetxattr ioprio_set lchown lremovexattr lsetxattr removexattr setpriority setxattr
""".split()  # noqa: SIM905 (a table)
"""They change files and processes of the same user wherever these are: Landlock has no rules for them."""
_OF_PROCESSES = ("prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler")
"""So do these, but programs need them for themselves: for process 0."""
_OF_MODES = ("chmod", "fchmod", "fchmodat", "fchmodat2", "futimesat", "utime", "utimensat", "utimes")
"""And these, which every copy of a file comes with: they do nothing and say that it is done. With set-user-id bits on a
shell of root's, a session would make everybody on the machine root."""
INTERNET = Rules((1, 2, 10))  # AF_UNIX, AF_INET, AF_INET6
CONTAINED = Rules(INTERNET.families, _COUNTED)
STARTING = Rules(CONTAINED.families, CONTAINED.without, resizing=True)
"""While somebody else's sandbox is not complete yet (`locked.py`); CONTAINED follows."""
MACHINE = Rules((2, 10), (*_COUNTED, *_NAMED, *_CHANGING), exposed=True)
"""With the machine's network and files: Landlock lets one connect to every Unix socket. Pairs of them can be made."""
NOTHING = Rules((), MACHINE.without, exposed=True)


def supported(machine: str = os.uname().machine) -> bool:
    """Whether there is a table for this architecture."""
    return machine in syscalls.MACHINES


def strict(rules: Rules, machine: str = os.uname().machine) -> bytes:
    """The filter for code that nobody trusts: only what is allowed is possible."""
    numbers = syscalls.judged(machine)
    allowed = syscalls.allowed(machine, rules.without)
    newest = max(allowed[-1], *numbers.values())
    return _assemble(
        [
            *_same_architecture(machine),
            *_judge(numbers["clone"], 0, [_jump(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _give(_REFUSE), _give(_ALLOW)]),
            *_judge(numbers["socket"], 0, _one_of(rules.families, _ALLOW, _ERRNO | errno.EAFNOSUPPORT)),
            *_judge(numbers["ioctl"], 1, _one_of(_TYPES_INTO_TERMINALS, _REFUSE, _ALLOW)),
            *(_judge(numbers["mount"], 3, _one_of((int(kernel.RESIZED),), _ALLOW, _REFUSE)) if rules.resizing else ()),
            _jump(_EQUAL, numbers["clone3"], 0, 1),
            _give(_UNKNOWN),  # its arguments are out of sight; the C library then uses `clone`
            *(_harmless(machine) if rules.exposed else ()),
            *_search(_steps(allowed, _ALLOW, _REFUSE, [(newest + 1, _UNKNOWN)])),
        ]
    )


def _harmless(machine: str) -> list[Instruction]:
    """What changes processes and files of the same user is for the caller alone, or without effect."""
    program: list[Instruction] = []
    for number in syscalls.numbers(machine, _OF_PROCESSES):
        program += _judge(number, 0, [_jump(_EQUAL, 0, 0, 1), _give(_ALLOW), _give(_REFUSE)])
    for number in syscalls.numbers(machine, _OF_MODES):
        program += [_jump(_EQUAL, number, 0, 1), _give(_DONE)]
    return program


def lenient(machine: str = os.uname().machine) -> bytes:
    """The filter for the developer's own code: only what concerns the whole machine is refused."""
    return _assemble(
        [
            *_same_architecture(machine, _ALLOW),
            *_search(_steps(syscalls.of_the_machine(machine), _REFUSE, _ALLOW, [])),
        ]
    )


def install(program: bytes) -> None:
    """Put a filter into force for good; needs "no new privileges". Raises OSError."""
    kernel.filter_system_calls(program)


def _same_architecture(machine: str, otherwise: int = _KILL) -> list[Instruction]:
    """Go on with the number of the call loaded; calls by another architecture's numbers get `otherwise`."""
    return [
        _load(_ARCHITECTURE),
        _jump(_EQUAL, _AUDIT[machine], 1, 0),
        _give(otherwise),
        _load(_NUMBER),
        _jump(_AT_LEAST, _X32, 0, 1),
        _give(otherwise),
    ]


def _judge(number: int, argument: int, verdict: list[Instruction]) -> list[Instruction]:
    """For this call, load the lower half of an argument and let `verdict`, which returns, decide."""
    body = [_load(16 + 8 * argument), *verdict]  # both architectures are little-endian
    return [_jump(_EQUAL, number, 0, len(body)), *body]


def _one_of(values: Sequence[int], then: int, otherwise: int) -> list[Instruction]:
    tests = [_jump(_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]
    return [*tests, _give(otherwise), _give(then)]


def _steps(numbers: Sequence[int], inside: int, outside: int, more: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """A function of the number as (from here on, verdict), beginning at 0."""
    steps = [(0, outside)]
    for number in numbers:
        if steps[-1][0] == number:
            steps[-1] = (number, inside)
        else:
            steps.append((number, inside))
        steps.append((number + 1, outside))
    steps = [step for place, step in enumerate(steps) if place == 0 or step[1] != steps[place - 1][1]]
    kept = [step for step in steps if not more or step[0] < more[0][0]]
    return [*kept, *more]


def _search(steps: Sequence[tuple[int, int]]) -> list[Instruction]:
    if len(steps) == 1:
        return [_give(steps[0][1])]
    middle = len(steps) // 2
    below = _search(steps[:middle])
    return [_jump(_AT_LEAST, steps[middle][0], len(below), 0), *below, *_search(steps[middle:])]


def _load(offset: int) -> Instruction:
    return (_LOAD, 0, 0, offset)


def _give(verdict: int) -> Instruction:
    return (_RETURN, 0, 0, verdict)


def _jump(test: int, value: int, then: int, otherwise: int) -> Instruction:
    """Skip `then` instructions if the test holds, else `otherwise`. At most 255 each."""
    return (test, then, otherwise, value)


def _assemble(program: Sequence[Instruction]) -> bytes:
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)
