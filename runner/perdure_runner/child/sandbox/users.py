"""User namespaces: who a session is, inside and outside.

A zygote lives in a user namespace of its own, where it may make others and mount. Each session has another one below
it, in which it is an ordinary user without any capability, and whose counters (processes, inotify, further user
namespaces) are its own.

Where the host is root, sessions are somebody else outside, too: a user that owns nothing.
"""

import os

from perdure_runner.child.sandbox import kernel
from perdure_runner.child.sandbox.kernel import Namespace

INSIDE = 1000
"""User and group of a session, as it sees itself."""
_NOBODY = (1_900_000_001, 65534)
"""Outside, if the host is root. In a container, not every number may be there."""
_COUNTS = {"max_inotify_instances": 8, "max_inotify_watches": 8192, "max_user_namespaces": 0}
"""Files of /proc/sys/user, and how much of each a session may have. They count to the host's user, too, who often has
128 instances for all of its sessions."""


def become_zygote() -> None:
    """Enter a new user namespace, and have a new process namespace for the children. Raises OSError."""
    if os.geteuid() == 0:
        _with_helper()
        return
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(Namespace.USER | Namespace.PID)
    _map("/proc/self", user, group)


def become_session() -> None:
    """Be an ordinary user in a user namespace of one's own; nothing can be mounted from now on. Raises OSError."""
    if os.getegid() != INSIDE or os.geteuid() != INSIDE:
        os.setgroups([])
        os.setresgid(INSIDE, INSIDE, INSIDE)
        os.setresuid(INSIDE, INSIDE, INSIDE)
    kernel.own_files_in_proc()
    kernel.unshare(Namespace.USER)
    _map("/proc/self", INSIDE, INSIDE)
    for name, most in _COUNTS.items():
        _write(f"/proc/sys/user/{name}", str(most))


def _map(place: str, user: int, group: int) -> None:
    _write(f"{place}/setgroups", "deny")
    _write(f"{place}/uid_map", f"{INSIDE} {user} 1")
    _write(f"{place}/gid_map", f"{INSIDE} {group} 1")


def _with_helper() -> None:
    """As root: two users are mapped, and only somebody outside of the new namespace may do that."""
    pid = os.getpid()
    entered, enter = os.pipe()
    done, tell = os.pipe()
    helper = os.fork()
    if helper == 0:
        try:
            os.close(enter)  # else its read would not end if the parent died
            os._exit(0 if os.read(entered, 1) and _map_two(f"/proc/{pid}") else 1)
        finally:
            os._exit(1)
    try:
        kernel.unshare(Namespace.USER | Namespace.PID)
        os.write(enter, b"!")
    finally:
        for descriptor in (entered, enter, done, tell):
            os.close(descriptor)
        _, status = os.waitpid(helper, 0)
    if status:
        raise PermissionError("no second user can be mapped into a user namespace")


def _map_two(place: str) -> bool:
    for outside in _NOBODY:
        try:
            _write(f"{place}/uid_map", f"0 0 1\n{INSIDE} {outside} 1\n")
            _write(f"{place}/gid_map", f"0 0 1\n{INSIDE} {outside} 1\n")
        except OSError:
            continue
        return True
    return False


def _write(path: str, text: str) -> None:
    """Write at once, as these files want it. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
