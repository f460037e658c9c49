"""Mounting something, in a namespace of one's own if there can be one, so that nobody else notices."""

from probing import in_child, libc, verdict

MOUNTS, USERS = 0x20000, 0x10000000
PRIVATE = 1 << 18 | 1 << 14


def main(event):
    return verdict(["a file system was mounted"] if in_child(mounting) else [])


def mounting():
    if libc.unshare(MOUNTS) and libc.unshare(USERS | MOUNTS):
        return False
    libc.mount(b"none", b"/", None, PRIVATE, None)
    return libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0
