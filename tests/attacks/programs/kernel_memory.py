"""Where the kernel is in memory, and what it said when it started."""

import os

from probing import content, libc, may_open, verdict


def main(event):
    found = [path for path in ("/proc/kcore", "/dev/mem", "/dev/kmsg", "/proc/kmsg") if may_open(path, os.O_RDONLY)]
    addresses = [line.split()[0] for line in content("/proc/kallsyms", 4096).splitlines()[:-1]]
    if any(address.strip(b"0") for address in addresses):
        found.append("kallsyms")
    if libc.klogctl(10, None, 0) > 0:
        found.append("the kernel's log")
    return verdict(found)
