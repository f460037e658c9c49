"""Control groups: one for each session, below the host's own, where this machine lets us make them.

Both versions are known, v1's separate hierarchies (memory, pids, cpu) and v2's single one, and mixtures of them. What
cannot be had is left out: `Groups.missing` says why. The names are those of the kernel's Documentation/admin-guide.
"""

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perdure_proto.v1.runner_pb2 import Limits

from perdure_runner.host.backend import LimitReached

CONTROLLERS = ("memory", "pids", "cpu")
_PREFIX = "perdure-"
_numbers = itertools.count(1)  # of this process: what a host has left there is not in the way of its next one
_PERIOD_US = 100_000
_MIB = 1 << 20
_NOT_EVERYWHERE = {"memory.memsw.limit_in_bytes", "memory.swap.max", "memory.oom.group"}


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A place where groups can be made, and the controllers it has for them. `version`: 1 or 2."""

    version: int
    folder: Path
    controllers: frozenset[str]


class Groups:
    """Makes the groups of one host."""

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._left: list[Group] = []  # whose processes were not all gone
        self._lock = threading.Lock()
        self._hierarchies: list[Hierarchy] = []
        self.missing: dict[str, str] = {}  # controller -> why it cannot be had
        for found in _hierarchies(proc):
            self._take(found)
        have = {name for hierarchy in self._hierarchies for name in hierarchy.controllers}
        for name in set(CONTROLLERS) - have - set(self.missing):
            self.missing[name] = "this machine's control groups do not have it"

    @property
    def controllers(self) -> Sequence[str]:
        """What can be limited."""
        return [name for name in CONTROLLERS if any(name in each.controllers for each in self._hierarchies)]

    def make(self, limits: Limits) -> "Group | None":
        """Make a session's group for what is limited; None if nothing is. Raises OSError."""
        group = self.make_ahead(limits)
        if group is not None:
            self._try(group, lambda: group.limit(limits))
        return group

    def make_ahead(self, limits: Limits) -> "Group | None":
        """Make a group that can hold such limits, but does not yet; None if nothing is limited. Raises OSError.

        To join a group of version 1 costs milliseconds for each hierarchy (the kernel waits until all processors have
        seen it), so only those that limit something are used.
        """
        needed = [each for each in self._hierarchies if _settings(each, limits)]
        if not needed:
            return None
        name = f"s{next(_numbers)}"
        group = Group([Hierarchy(h.version, h.folder / name, h.controllers) for h in needed])
        self._try(group, group.make)
        return group

    def give_back(self, group: "Group") -> None:
        """Remove a group as soon as nothing is in it any more. For any thread: the kernel may take its time."""
        with self._lock:
            self._left = [each for each in (*self._left, group) if not each.close()]

    def close(self) -> None:
        """Remove what can be removed; the rest goes when the next host starts."""
        with self._lock:
            for hierarchy in self._hierarchies:
                _remove(hierarchy.folder)
            self._hierarchies.clear()

    def _try(self, group: "Group", step: Callable[[], None]) -> None:
        try:
            step()
        except OSError:
            group.close()
            raise

    def _take(self, found: Hierarchy) -> None:
        """Have a folder of our own in this hierarchy, if we may."""
        _sweep(found.folder)
        own = Hierarchy(found.version, found.folder / f"{_PREFIX}{os.getpid()}", found.controllers)
        try:
            if found.version == 2:
                _delegate(found)
            own.folder.mkdir(exist_ok=True)
            if found.version == 2:
                _enable(own.folder, found.controllers)
        except OSError as error:
            reason = f"{found.folder}: {error.strerror}"
            self.missing |= dict.fromkeys(found.controllers, reason)
        else:
            self._hierarchies.append(own)


class Group:
    """A session's control group."""

    def __init__(self, hierarchies: Sequence[Hierarchy]) -> None:
        self._hierarchies = hierarchies
        self._limits = Limits()

    def make(self) -> None:
        """Make it. Raises OSError."""
        for hierarchy in self._hierarchies:
            hierarchy.folder.mkdir()

    def limit(self, limits: Limits) -> None:
        """Set its limits. Raises OSError."""
        self._limits = limits
        for hierarchy in self._hierarchies:
            for name, value in _settings(hierarchy, limits).items():
                with contextlib.suppress(*((OSError,) if name in _NOT_EVERYWHERE else ())):
                    (hierarchy.folder / name).write_text(value)

    def join(self) -> list[int]:
        """Open the files by which a process puts itself into it; the caller closes them. Raises OSError."""
        opened: list[int] = []
        try:
            for file in (hierarchy.folder / "cgroup.procs" for hierarchy in self._hierarchies):
                opened += (os.open(file, os.O_WRONLY | os.O_CLOEXEC),)
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        return opened

    def counts(self, controller: str) -> bool:
        """Whether it has this controller."""
        return any(controller in hierarchy.controllers for hierarchy in self._hierarchies)

    @property
    def limits_processes(self) -> bool:
        return bool(self._limits.processes) and self.counts("pids")

    def killed_for_memory(self) -> bool:
        """Whether the kernel killed something in it for want of memory."""
        return self._event("memory", {1: "memory.oom_control", 2: "memory.events"}, "oom_kill") > 0

    def memory_used(self) -> int:
        """The most bytes it had at once, as far as the kernel tells; else what it has now. 0: unknown."""
        files = {1: ("memory.max_usage_in_bytes",), 2: ("memory.peak", "memory.current")}
        return self._first_number("memory", files)

    def processes(self) -> int:
        """Processes and threads in it now. 0: unknown."""
        return self._first_number("pids", {1: ("pids.current",), 2: ("pids.current",)})

    def reached(self, status: int | None) -> LimitReached | None:
        """Which limit ended the runner with this exit status, if one did."""
        if status is None or status >= 0 or not self.killed_for_memory():
            return None
        limit = mebibytes(self._limits.memory_bytes)
        return LimitReached("P0603", f"memory: limit {limit}, used {mebibytes(self.memory_used())}")

    def close(self) -> bool:
        """Remove it, when the runner is gone. False if something is still in it, which is killed."""
        removed = [_remove(hierarchy.folder) for hierarchy in self._hierarchies]
        if not all(removed):
            self._kill()
        return all(removed)

    def _kill(self) -> None:
        """Where there is no process namespace, a daemon of the session's is in its group only."""
        for hierarchy in self._hierarchies:
            with contextlib.suppress(OSError):
                for pid in (hierarchy.folder / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)

    def _first_number(self, controller: str, files: Mapping[int, Sequence[str]]) -> int:
        for hierarchy in self._with(controller):
            for name in files[hierarchy.version]:
                with contextlib.suppress(OSError, ValueError):
                    return int((hierarchy.folder / name).read_text())
        return 0

    def _event(self, controller: str, files: Mapping[int, str], name: str) -> int:
        for hierarchy in self._with(controller):
            with contextlib.suppress(OSError, ValueError):
                lines = (hierarchy.folder / files[hierarchy.version]).read_text().splitlines()
                return sum(int(line.split()[1]) for line in lines if line.split()[0] == name)
        return 0

    def _with(self, controller: str) -> Iterator[Hierarchy]:
        return (hierarchy for hierarchy in self._hierarchies if controller in hierarchy.controllers)


def kinds(limits: Limits) -> frozenset[str]:
    """What is limited: what a group that is made ahead must have been made for."""
    wanted = (limits.memory_bytes, limits.processes, limits.cpus)
    return frozenset(name for name, most in zip(CONTROLLERS, wanted, strict=True) if most)


def mebibytes(count: int) -> str:
    """Bytes as people read them: "511.8 MiB"."""
    return f"{count / _MIB:.1f}".removesuffix(".0") + " MiB"


def _settings(hierarchy: Hierarchy, limits: Limits) -> dict[str, str]:
    """Files and contents for these limits; 0 sets none."""
    files: dict[str, str] = {}
    if limits.memory_bytes and "memory" in hierarchy.controllers:
        size = str(limits.memory_bytes)
        files |= (
            {"memory.limit_in_bytes": size, "memory.memsw.limit_in_bytes": size}
            if hierarchy.version == 1
            else {"memory.max": size, "memory.swap.max": "0", "memory.oom.group": "1"}
        )
    if limits.processes and "pids" in hierarchy.controllers:
        files["pids.max"] = str(limits.processes)
    if limits.cpus and "cpu" in hierarchy.controllers:
        quota = max(1000, int(limits.cpus * _PERIOD_US))
        files |= (
            {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(quota)}
            if hierarchy.version == 1
            else {"cpu.max": f"{quota} {_PERIOD_US}"}
        )
    return files


def _hierarchies(proc: Path) -> Iterator[Hierarchy]:
    """Where this process is in each hierarchy that has a controller we want."""
    own = dict(_own_groups(proc / "cgroup"))
    for root, mounted, kind, options in _mounts(proc / "mountinfo"):
        if kind == "cgroup2":
            controllers, path = _available(mounted), own.get("")
        else:
            controllers = frozenset(options) & frozenset(CONTROLLERS)
            path = next((own[name] for name in controllers if name in own), None)
        if controllers and path is not None:
            inside = os.path.relpath(path, root) if path.startswith(root) else "."
            yield Hierarchy(2 if kind == "cgroup2" else 1, Path(mounted, inside), controllers)


def _own_groups(file: Path) -> Iterator[tuple[str, str]]:
    """(controller, path) of every line of /proc/self/cgroup; v2's controller is ""."""
    with contextlib.suppress(FileNotFoundError):
        for line in file.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for name in controllers.split(","):
                yield name, path


def _mounts(file: Path) -> Iterator[tuple[str, str, str, Sequence[str]]]:
    """(root, mount point, type, options of the file system) of the mounted hierarchies; see proc(5)."""
    with contextlib.suppress(FileNotFoundError):
        for line in file.read_text().splitlines():
            mount, _, system = line.partition(" - ")
            kind, _, options = system.split(" ", 2)
            if kind in {"cgroup", "cgroup2"}:
                _, _, _, root, mounted, *_ = mount.split(" ")
                yield root, mounted, kind, options.split(",")


def _available(mounted: str) -> frozenset[str]:
    try:
        return frozenset(Path(mounted, "cgroup.controllers").read_text().split()) & frozenset(CONTROLLERS)
    except OSError:
        return frozenset()


def _delegate(found: Hierarchy) -> None:
    """Let groups below this one have the controllers. In v2, that group must have no process itself then.

    Raises OSError: it is not ours, or others are in it too.
    """
    try:
        _enable(found.folder, found.controllers)
    except OSError:
        ours = {str(os.getpid()), str(os.getppid())}
        inside = set((found.folder / "cgroup.procs").read_text().split())
        if not inside or not inside <= ours:
            raise
        leaf = found.folder / f"{_PREFIX}main"
        leaf.mkdir(exist_ok=True)
        for pid in inside:
            (leaf / "cgroup.procs").write_text(pid)
        _enable(found.folder, found.controllers)


def _enable(folder: Path, controllers: Iterable[str]) -> None:
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(controllers)))


def _sweep(folder: Path) -> None:
    """Remove what hosts that are dead have left."""
    for left in folder.glob(f"{_PREFIX}[0-9]*"):
        if not Path("/proc", left.name.removeprefix(_PREFIX)).exists():
            _remove(left)


def _remove(folder: Path) -> bool:
    """Remove a group and those in it. What still has a process stays; then False."""
    with contextlib.suppress(OSError):
        for inner in folder.iterdir():
            if inner.is_dir():
                _remove(inner)
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
