"""The filters of system calls, run by a simulator of the kernel's BPF machine for both architectures."""

from __future__ import annotations

import errno
import os
import struct

import pytest
from perdure_runner.child.sandbox import seccomp, syscalls

ALLOW, KILL = 0x7FFF0000, 0x80000000
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

each_machine = pytest.mark.parametrize("machine", syscalls.MACHINES)


def verdict(program: bytes, machine: str, number: int, *arguments: int) -> int:
    """What the kernel would do: a `struct seccomp_data` goes through the program."""
    data = struct.pack("<iIQ6Q", number, ARCHITECTURES[machine], 0, *arguments, *[0] * (6 - len(arguments)))
    code = [struct.unpack_from("HBBI", program, at) for at in range(0, len(program), 8)]
    at = value = 0
    while True:
        operation, then, otherwise, operand = code[at]
        at += 1
        match operation:
            case 0x20:
                (value,) = struct.unpack_from("<I", data, operand)
            case 0x06:
                return operand
            case 0x15:
                at += then if value == operand else otherwise
            case 0x35:
                at += then if value >= operand else otherwise
            case 0x45:
                at += then if value & operand else otherwise
            case _:
                raise AssertionError(operation)


def refused(number: int) -> int:
    return 0x00050000 | number


@each_machine
def test_every_number_gets_its_verdict(machine: str) -> None:
    program = seccomp.strict(seccomp.INTERNET, machine)
    allowed, judged = set(syscalls.allowed(machine)), syscalls.judged(machine)
    newest = max(*allowed, *judged.values())
    for number in range(700):
        found = verdict(program, machine, number)
        if number in allowed or number == judged["ioctl"] or number == judged["clone"]:
            assert found == ALLOW, number
        elif number > newest or number == judged["clone3"]:
            assert found == refused(errno.ENOSYS), number
        elif number == judged["socket"]:
            assert found == refused(errno.EAFNOSUPPORT)
        else:
            assert found == refused(errno.EPERM), number


@each_machine
def test_arguments_decide(machine: str) -> None:
    judged = syscalls.judged(machine)
    wide, narrow = (seccomp.strict(rules, machine) for rules in (seccomp.INTERNET, seccomp.MACHINE))
    nothing = seccomp.strict(seccomp.NOTHING, machine)
    for family in range(50):
        assert (verdict(wide, machine, judged["socket"], family) == ALLOW) == (family in {1, 2, 10})
        assert (verdict(narrow, machine, judged["socket"], family) == ALLOW) == (family in {2, 10})
        assert verdict(nothing, machine, judged["socket"], family) == refused(errno.EAFNOSUPPORT)
    (watching,) = set(syscalls.allowed(machine)) - set(syscalls.allowed(machine, ["inotify_init1"]))
    assert verdict(wide, machine, watching) == ALLOW
    assert verdict(narrow, machine, watching) == refused(errno.EPERM)
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(wide, machine, judged["clone"], flag | 17) == refused(errno.EPERM)
    assert verdict(wide, machine, judged["clone"], 0x3D0F00) == ALLOW, "a thread"
    assert verdict(wide, machine, judged["ioctl"], 0, 0x5412) == refused(errno.EPERM)
    assert verdict(wide, machine, judged["ioctl"], 0, 0x5401) == ALLOW


@each_machine
def test_while_a_sandbox_is_made_file_systems_can_be_resized_only(machine: str) -> None:
    starting, contained = (seccomp.strict(rules, machine) for rules in (seccomp.STARTING, seccomp.CONTAINED))
    mount = syscalls.judged(machine)["mount"]
    for flags in (0, 1, 4096, 8192, 32, 32 | 4096, 32 | 1, 32 | 2 | 4 | 4096, 0xFFFFFFFF):
        assert verdict(starting, machine, mount, 1, 1, 0, flags) == refused(errno.EPERM), flags
    assert verdict(starting, machine, mount, 1, 1, 0, 32 | 2 | 4) == ALLOW
    assert verdict(contained, machine, mount, 1, 1, 0, 32 | 2 | 4) == refused(errno.EPERM)
    for number in set(range(700)) - {mount}:
        assert verdict(starting, machine, number) == verdict(contained, machine, number), number


@each_machine
def test_what_shares_a_user_changes_itself_only(machine: str) -> None:
    alone, exposed = (seccomp.strict(rules, machine) for rules in (seccomp.CONTAINED, seccomp.NOTHING))
    (limits,) = syscalls.numbers(machine, ["prlimit64"])
    (modes,) = syscalls.numbers(machine, ["fchmodat"])
    (owners,) = syscalls.numbers(machine, ["fchownat"])
    for number in (limits, modes, owners):
        assert verdict(alone, machine, number, 7) == ALLOW
    assert verdict(exposed, machine, limits, 0) == ALLOW
    assert verdict(exposed, machine, limits, 7) == refused(errno.EPERM)
    assert verdict(exposed, machine, modes) == refused(0), "not made, and no error"
    assert verdict(exposed, machine, owners) == refused(errno.EPERM)


@each_machine
def test_numbers_of_other_architectures_kill(machine: str) -> None:
    (other,) = set(syscalls.MACHINES) - {machine}
    program = seccomp.strict(seccomp.INTERNET, machine)
    assert verdict(program, other, syscalls.allowed(other)[0]) == KILL
    assert verdict(program, machine, 0x40000000) == KILL, "the x32 ABI"


@each_machine
def test_the_developer_s_filter_refuses_what_concerns_the_machine(machine: str) -> None:
    program = seccomp.lenient(machine)
    denied = set(syscalls.of_the_machine(machine))
    for number in range(700):
        assert verdict(program, machine, number) == (refused(errno.EPERM) if number in denied else ALLOW)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_the_table_has_the_kernel_s_numbers() -> None:
    """A few that everybody knows, and none twice."""
    numbers = list(syscalls.allowed("x86_64"))
    assert len(numbers) == len(set(numbers))
    assert {0, 1, 9, 59, 202, 257} < set(numbers)
    assert not {101, 155, 161, 165, 206, 272, 308, 310, 321} & set(numbers)  # ptrace, mounts, AIO, namespaces, bpf
