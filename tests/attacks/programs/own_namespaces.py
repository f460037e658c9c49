"""Namespaces of one's own, where much of the kernel can be reached that others do not get to."""

from probing import in_child, libc, verdict

KINDS = {"user": 0x10000000, "mount": 0x20000, "network": 0x40000000, "process": 0x20000000}


def main(event):
    return verdict(name for name, flag in KINDS.items() if in_child(lambda flag=flag: unshares(flag)))


def unshares(flag):
    return libc.unshare(flag) == 0
