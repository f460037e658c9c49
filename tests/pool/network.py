"""Machines that are network namespaces, each on a cable of its own to a switch that this machine is on, too."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass


def obstacle() -> str:
    """Why there can be no such machines here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2"
    probe = f"pdp{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces cannot be made: {made.stderr.strip()}"
    _ip("netns", "del", probe)
    return ""


@dataclass(frozen=True)
class Machine:
    """`address` is its own; `command` begins a command line of what runs there."""

    name: str
    address: str
    cable: str

    @property
    def command(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """Pull the cable out at the switch: what is sent either way is lost, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        _ip("link", "set", self.cable, "up")


@contextmanager
def machines(number: int) -> Iterator[tuple[str, list[Machine]]]:
    """This machine's address on the switch, and the other machines, for the length of the block."""
    pid = os.getpid()  # other workers have other networks
    net, switch = f"10.{128 + pid // 250 % 100}.{pid % 250}", f"pd{pid}"
    with ExitStack() as stack:
        _ip("link", "add", switch, "type", "bridge")
        stack.callback(_ip, "link", "del", switch)
        _ip("addr", "add", f"{net}.1/24", "dev", switch)
        _ip("link", "set", switch, "up")
        yield f"{net}.1", [stack.enter_context(_machine(switch, net, n)) for n in range(1, number + 1)]


@contextmanager
def _machine(switch: str, net: str, number: int) -> Iterator[Machine]:
    machine = Machine(f"{switch}n{number}", f"{net}.{number + 1}", f"{switch}v{number}")
    _ip("netns", "add", machine.name)
    try:
        inside = ("-n", machine.name)
        _ip("link", "add", machine.cable, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
        _ip("link", "set", machine.cable, "master", switch, "up")
        _ip(*inside, "addr", "add", f"{machine.address}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "link", "set", "lo", "up")
        yield machine
    finally:
        _ip("netns", "del", machine.name)  # takes both ends of the cable with it


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)
