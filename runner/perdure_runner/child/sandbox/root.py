"""The private root of sessions.

A zygote makes it once: a small file system in memory onto which everything that all of its sessions see is bound,
read-only. Each session gets a copy of these mounts, adds its own files and what it may write, and makes it its root.

What a session writes is in one file system in memory with a limit of bytes and of files: /tmp, /dev/shm, and the
working directory, which shows the code below what the session writes over it.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from perdure_runner.child.sandbox import kernel, places
from perdure_runner.child.sandbox.kernel import Mount
from perdure_runner.child.sandbox.users import INSIDE

_STAGES = ("/mnt", "/media", "/srv", "/run", "/opt", "/var", "/home")
"""Where the new root may be put together: a folder that hides nothing that is needed."""
_SHOWN = Mount.RDONLY | Mount.NOSUID | Mount.NODEV
_SHOWN_NOW = Mount.BIND | Mount.REMOUNT | _SHOWN
_WRITABLE = Mount.NOSUID | Mount.NODEV
_PROCESSES = Mount.NOSUID | Mount.NODEV | Mount.NOEXEC
_OF_SESSION = "/.session"  # seen only while a session's root is being made
_TEMPORARY = "/tmp"  # noqa: S108 (the session's own)
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 (as above)
_EXTRA_FILES = 32  # the folders that we make ourselves
_FILES = {
    "/etc/passwd": f"root:x:0:0::/:/bin/false\nrunner:x:{INSIDE}:{INSIDE}::{_TEMPORARY}:/bin/sh\n",
    "/etc/group": f"root:x:0:\nrunner:x:{INSIDE}:\n",
}
_ALONE = {
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/nsswitch.conf": "hosts: files\n",
    "/etc/resolv.conf": "",
}
_LINKS = {"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1"}


@dataclass(frozen=True, slots=True)
class Root:
    """What a zygote has prepared: `stage` is where it is mounted; `late` can only be bound by the session."""

    stage: str
    hidden: str
    late: Sequence[str]


def prepare(shown: Iterable[str], hidden: str) -> Root:
    """Make the part that is the same for all sessions. In a mount namespace of the zygote's own.

    Args:
        shown: absolute paths that sessions see, besides the system's.
        hidden: the host's state directory: of it, a session sees its own files only.
    Raises:
        OSError: the kernel refuses.
    """
    kernel.mount("none", "/", None, Mount.REC | Mount.PRIVATE)
    shown = [*shown]
    stage = _stage([*shown, hidden])
    kernel.mount("tmpfs", stage, "tmpfs", _WRITABLE, "size=1m,nr_inodes=2048,mode=755")
    for folder in ("/etc", "/proc", _SHARED_MEMORY, _TEMPORARY, _OF_SESSION):
        os.makedirs(stage + folder, exist_ok=True)
    for path, text in {**_FILES, **_ALONE}.items():
        with open(stage + path, "x", encoding="ascii") as file:
            file.write(text)
    late = []
    for path in (*places.SYSTEM, *places.CONFIGURATION, *shown):
        if places.holds(_TEMPORARY, path):
            late.append(path)
        elif os.path.lexists(path):
            _show(path, stage)
    for name in places.DEVICES:
        _show(f"/dev/{name}", stage, Mount.NOSUID)
    for path, target in _LINKS.items():
        os.symlink(target, stage + path)
    if not places.holds(_TEMPORARY, hidden):
        os.makedirs(stage + hidden, exist_ok=True)
    kernel.mount("none", stage, None, _SHOWN_NOW)
    return Root(stage, hidden, late)


def begin(root: Root) -> None:
    """Add what a session can have before it is known. In a mount namespace of its own.

    Raises:
        OSError: the kernel refuses.
    """
    own = root.stage + _OF_SESSION
    kernel.mount("tmpfs", own, "tmpfs", _WRITABLE, "mode=755")
    for name, mode in (("tmp", 0o1777), ("shm", 0o1777), ("over", 0o755), ("work", 0o755), ("place", 0o755)):
        os.mkdir(f"{own}/{name}")
        os.chmod(f"{own}/{name}", mode)
    os.chown(f"{own}/over", INSIDE, INSIDE)
    kernel.bind(f"{own}{_TEMPORARY}", root.stage + _TEMPORARY)
    kernel.bind(own + "/shm", root.stage + _SHARED_MEMORY)
    if _has_own_place(root):
        kernel.bind(f"{own}/place", root.stage + root.hidden)
    for path in root.late:
        _show(path, root.stage)
    kernel.mount("proc", f"{root.stage}/proc", "proc", _PROCESSES)


def enter(root: Root, confine: Mapping[str, object]) -> None:
    """Make what was begun this process's root, with the files and the limits of its session.

    Raises:
        OSError: the kernel refuses.
    """
    own = root.stage + _OF_SESSION
    if size := _size(confine):
        kernel.resize(own, size)
    for path in _given(confine, "cache", "environment"):
        _show(path, root.stage)
    _working_directory(str(confine["code"]), root.stage, own)
    if confine.get("network") == "all":
        for path in places.NETWORK:
            if os.path.exists(path):
                _show(path, root.stage)
    if _has_own_place(root):
        kernel.mount("none", root.stage + root.hidden, None, _SHOWN_NOW)
    kernel.detach(own)
    kernel.change_root(root.stage)


def _has_own_place(root: Root) -> bool:
    """Whether the host's state directory is not in what is the session's anyway."""
    return not places.holds(_TEMPORARY, root.hidden)


def _working_directory(code: str, stage: str, own: str) -> None:
    """Show the code with what the session writes over it; on kernels that cannot (before 5.11), the code alone."""
    target = stage + code
    os.makedirs(target, exist_ok=True)
    layers = {"lowerdir": code, "upperdir": f"{own}/over", "workdir": f"{own}/work"}
    options = ",".join(f"{name}={_escaped(path)}" for name, path in layers.items())
    try:
        kernel.mount("overlay", target, "overlay", _WRITABLE, f"{options},userxattr")
    except OSError:
        kernel.bind(code, target, _SHOWN)


def _escaped(path: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\,:" else letter for letter in path)


def _size(confine: Mapping[str, object]) -> str:
    options = []
    if disk := confine.get("disk"):
        options.append(f"size={disk}")
    if (files := confine.get("files")) and isinstance(files, int):
        options.append(f"nr_inodes={files + _EXTRA_FILES}")
    return ",".join(options)


def _given(confine: Mapping[str, object], *names: str) -> Sequence[str]:
    return [str(confine[name]) for name in names if confine.get(name)]


def _show(path: str, stage: str, flags: Mount = _SHOWN) -> None:
    """Bind a file or folder to the same place in the new root; a link of the system's is made anew."""
    target = stage + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path) and path in places.SYSTEM:
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        with open(target, "x", encoding="ascii"):
            pass
    kernel.bind(path, target, flags)


def _stage(needed: Sequence[str]) -> str:
    for folder in _STAGES:
        if os.path.isdir(folder) and not any(places.holds(folder, place) for place in needed):
            return folder
    raise FileNotFoundError(f"none of {', '.join(_STAGES)} is a folder that nothing needed lies in")
