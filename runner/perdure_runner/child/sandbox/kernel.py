"""The system calls that Python's `os` does not have (in 3.11), and the numbers of the kernel's headers they need.

Flags are put together when this is imported. A fork that did it would pay for some fifty pages of memory of its own,
which is what an operator of an enumeration, or its representation, touches.
"""

import ctypes
import enum
import os

_libc = ctypes.CDLL(None, use_errno=True)
_long = ctypes.c_ulong
_prctl = _libc.prctl
_prctl.argtypes = (ctypes.c_int, _long, _long, _long, _long)

_SYS_MOUNT_SETATTR = 442  # the same on all architectures, as every call since Linux 5.0
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine)
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}.get(os.uname().machine)

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION = 0x20080522
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_SIZE = 32
_DETACH = 2


class Namespace(enum.IntFlag):
    """CLONE_NEW* of sched.h."""

    MOUNT = 0x00020000
    CGROUP = 0x02000000
    UTS = 0x04000000
    IPC = 0x08000000
    USER = 0x10000000
    PID = 0x20000000
    NET = 0x40000000


class Mount(enum.IntFlag):
    """MS_* of sys/mount.h."""

    RDONLY = 1
    NOSUID = 2
    NODEV = 4
    NOEXEC = 8
    REMOUNT = 32
    BIND = 4096
    REC = 16384
    PRIVATE = 1 << 18


RESIZED = Mount.REMOUNT | Mount.NOSUID | Mount.NODEV
"""The flags of `resize`."""
_BIND = Mount.BIND | Mount.REC
_ATTRIBUTES = ((1, 1), (2, 2), (4, 4), (8, 8))  # RDONLY, NOSUID, NODEV, NOEXEC: of Mount, and as MOUNT_ATTR_*


class _Capabilities(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def unshare(namespaces: Namespace) -> None:
    """Leave these namespaces for new ones; for PID, only the children to come. Raises OSError."""
    _check(_libc.unshare(int(namespaces)), f"unshare({int(namespaces):#x})")


def enter(descriptor: int, kind: Namespace) -> None:
    """Enter the namespace that `descriptor` stands for. Raises OSError."""
    _check(_libc.setns(descriptor, int(kind)), "setns")


def mount(source: str, target: str, kind: str | None, flags: Mount, options: str = "") -> None:
    """mount(2). Raises OSError."""
    encoded = options.encode() if options else None
    done = _libc.mount(os.fsencode(source), os.fsencode(target), kind and kind.encode(), _long(flags), encoded)
    _check(done, f"mount {kind or source} on {target}")


def bind(source: str, target: str, flags: Mount = Mount(0)) -> None:  # noqa: B008 (a constant)
    """Show a file or a folder, with what is mounted in it, at another place too, with more restrictions.

    Raises OSError.
    """
    mount(source, target, None, _BIND)
    if flags:
        restrict(target, flags)


def resize(target: str, options: str) -> None:
    """Change the options of a file system in memory that is mounted there. Raises OSError."""
    mount("none", target, None, RESIZED, options)


def restrict(target: str, flags: Mount) -> None:
    """Add restrictions to a mount and to all mounts in it, as far as the kernel is able to. Raises OSError."""
    asked = int(flags)
    wanted = sum(number for flag, number in _ATTRIBUTES if asked & flag)
    attributes = (ctypes.c_uint64 * 4)(wanted, 0, 0, 0)
    done = _libc.syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, attributes, _long(_MOUNT_ATTR_SIZE)
    )
    if done != 0:  # Linux before 5.12: the uppermost only, with what it has already
        kept = os.statvfs(target).f_flag & ~0x20  # ST_* are MS_*, but for ST_VALID
        mount("none", target, None, Mount.BIND | Mount.REMOUNT | flags | Mount(kept))


def change_root(new: str) -> None:
    """Make `new`, a mount point, the root, and let go of the old one. Raises OSError."""
    os.chdir(new)
    _check(_libc.syscall(_SYS_PIVOT_ROOT, b".", b"."), "pivot_root")
    detach(".")
    os.chdir("/")


def detach(target: str) -> None:
    """Unmount what is mounted there as soon as nobody uses it. Raises OSError."""
    _check(_libc.umount2(os.fsencode(target), _DETACH), f"umount {target}")


def die_with_parent(signal_number: int) -> None:
    """Be sent this signal when the parent's thread ends. A change of identity undoes it."""
    _check(_prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "PR_SET_PDEATHSIG")


def own_files_in_proc() -> None:
    """Let /proc/self belong to the process's own user again, after a change of identity."""
    _check(_prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "PR_SET_DUMPABLE")


def no_new_privileges() -> None:
    """No program that is started from now on gains anything by its set-user-id bit or file capabilities."""
    _check(_prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")


def drop_capabilities() -> None:
    """Have no capability, and none ever again. Raises OSError."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    number = 0
    while _prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1
    header = _Capabilities(_CAPABILITY_VERSION, 0)
    _check(_libc.syscall(_SYS_CAPSET, ctypes.byref(header), bytes(24)), "capset")


def filter_system_calls(program: bytes) -> None:
    """Let this BPF program decide on every system call from now on, here and in all children. Raises OSError."""
    described = _Program(len(program) // 8, program)
    done = _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(described), 0, 0)
    _check(done, "PR_SET_SECCOMP")


def system_call(number: int, *arguments: object) -> int:
    """Any system call. Raises OSError."""
    result: int = _libc.syscall(number, *arguments)
    return _check(result, f"system call {number}")


def _check(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result
