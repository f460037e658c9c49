"""Capabilities: one's own, what can be had again, and those of processes whose memory one may write to."""

import ctypes
import os
import struct
import subprocess

from probing import content, libc, may_open, processes, verdict

VERSION = 0x20080522
ALL = 0xFFFFFFFF
AMBIENT, RAISE = 47, 2  # prctl
BOUND = "CapBnd"  # means something to oneself only: what a program that is started could gain


def main(event):
    found = [f"before: {each}" for each in sets(content("/proc/self/status"))]
    libc.capset(struct.pack("Ii", VERSION, 0), struct.pack("6I", *[ALL] * 6))
    for number in range(64):
        have = 1 << number % 32
        halves = [have, have, have, 0, 0, 0] if number < 32 else [0, 0, 0, have, have, have]
        libc.capset(struct.pack("Ii", VERSION, 0), struct.pack("6I", *halves))
        libc.prctl(AMBIENT, RAISE, ctypes.c_ulong(number), 0, 0)
    found += [f"again: {each}" for each in sets(content("/proc/self/status"))]
    shown = subprocess.run(["cat", "/proc/self/status"], capture_output=True, check=False).stdout
    found += [f"in a program: {each}" for each in sets(shown)]
    for pid in {*processes()} - {os.getpid()}:
        if may_open(f"/proc/{pid}/mem", os.O_RDWR):
            held = sets(content(f"/proc/{pid}/status"))
            found += [f"process {pid}: {each}" for each in held if not each.startswith(BOUND)]
    return verdict(found)


def sets(status):
    """Those of a process's sets of capabilities that are not empty."""
    lines = [line.split() for line in status.decode().splitlines() if line.startswith("Cap")]
    return [f"{name.rstrip(':')} {value}" for name, value in lines if int(value, 16)]
