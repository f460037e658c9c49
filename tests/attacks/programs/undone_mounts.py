"""The sandbox's own mounts, undone: their limits, what is read-only in them, where they are, what they hide."""

import ctypes

from probing import in_child, libc, verdict

MOUNTS, USERS = 0x20000, 0x10000000
NOSUID, NODEV, REMOUNT, BIND, MOVE, DETACH = 2, 4, 32, 4096, 8192, 2
PRIVATE = 1 << 18 | 1 << 14
OPEN_TREE, MOUNT_SETATTR, HERE, CLONE = 428, 442, -100, 1  # the same numbers on all architectures
WITHOUT_RDONLY = (ctypes.c_uint64 * 4)(0, 1, 0, 0)
WRITABLE = (b"/tmp", b"/dev/shm")
READ_ONLY = (b"/", b"/dev", b"/usr", b".")
WAYS = {
    **{f"more files in {place}": (lambda place=place: resizes(place)) for place in WRITABLE},
    **{f"writing to {place}": (lambda place=place: mounts(None, place, REMOUNT | BIND)) for place in READ_ONLY},
    "writing to all": lambda: libc.syscall(MOUNT_SETATTR, HERE, b"/", 0, WITHOUT_RDONLY, ctypes.c_ulong(32)) == 0,
    "unmounting": lambda: libc.umount2(b"/tmp", DETACH) == 0,
    "moving": lambda: mounts(b"/dev/shm", b"/tmp", MOVE),
    "binding": lambda: mounts(b"/usr", b"/tmp", BIND),
    "a copy": lambda: libc.syscall(OPEN_TREE, HERE, b"/tmp", CLONE) >= 0,
}


def main(event):
    return verdict(name for name, way in WAYS.items() if in_child(lambda way=way: alone() and way()))


def alone():
    """Be where nobody else notices, if there can be such a place; else where the sandbox has put us."""
    if libc.unshare(MOUNTS) == 0 or libc.unshare(USERS | MOUNTS) == 0:
        if not mounts(None, b"/", PRIVATE):
            return False
        for place in WRITABLE:
            libc.mount(b"none", place, b"tmpfs", ctypes.c_ulong(NOSUID | NODEV), b"nr_inodes=100")
    return True


def mounts(source, target, flags):
    return libc.mount(source, target, None, ctypes.c_ulong(flags), None) == 0


def resizes(place):
    flags = ctypes.c_ulong(REMOUNT | NOSUID | NODEV)
    return libc.mount(b"none", place, None, flags, b"size=1g,nr_inodes=1000000") == 0
