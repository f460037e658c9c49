"""What `perdure doctor` looks at. Every probe returns a `Finding` and leaves nothing behind."""

from __future__ import annotations

import enum
import os
import shutil
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from perdure_server.cli.settings import Settings

MIB = 1 << 20
SUPPORTED_PYTHONS = ("3.11", "3.12", "3.13")
MIN_SQLITE = (3, 35, 0)  # RETURNING
LOW_DISK_MIB = 512
LOW_INODES = 10_000
SLOW_COMMIT_MS = 20.0
FEW_FILES = 1024
MANY_FILES = 65536
COMMITS = 30


class Verdict(enum.Enum):
    """How well it stands."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `remedy` is empty where none is needed."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def probe(settings: Settings, home: Path) -> Iterator[Finding]:
    """All probes that need no running session."""
    near = _existing(home)
    probes: tuple[Callable[[], Finding], ...] = (
        pythons,
        libraries,
        sqlite,
        lambda: home_state(home),
        lambda: commits(near),
        lambda: disk(near),
        lambda: listening(settings.text("grpc")),
        open_files,
    )
    for look in probes:
        yield look()


def _existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def pythons() -> Finding:
    """Interpreters that projects may name."""
    found = [f"{v} ({path})" for v in SUPPORTED_PYTHONS if (path := shutil.which(f"python{v}"))]
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    detail = f"perdure runs on {own} ({sys.executable})" + (f"; also {', '.join(found)}" if found else "")
    if own in SUPPORTED_PYTHONS:
        return Finding("python", Verdict.OK, detail)
    return Finding("python", Verdict.WARN, detail, f"tested are {', '.join(SUPPORTED_PYTHONS)}")


def libraries() -> Finding:
    """Versions of what generated code depends on."""
    versions = {name: metadata.version(name) for name in ("grpcio", "protobuf", "sqlalchemy", "cloudpickle")}
    return Finding("libraries", Verdict.OK, ", ".join(f"{name} {version}" for name, version in versions.items()))


def sqlite() -> Finding:
    """The linked SQLite."""
    detail = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info >= MIN_SQLITE:
        return Finding("sqlite", Verdict.OK, detail)
    return Finding("sqlite", Verdict.FAIL, detail, "install a Python that is linked with SQLite 3.35 or newer")


def home_state(home: Path) -> Finding:
    """Whether the home can be written, and whose it is just now."""
    from perdure_server.cli.onlooker import holder

    place = _existing(home)
    if not place.is_dir():
        return Finding("home", Verdict.FAIL, f"{place} is no folder", "name another home: --home DIR")
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("home", Verdict.FAIL, f"{place} is not writable", f"chown or chmod {place}, or --home DIR")
    used_by = holder(home)
    if used_by is not None:
        return Finding("home", Verdict.OK, f"{home}: a coordinator runs on it ({used_by})")
    return Finding("home", Verdict.OK, f"{home}: writable, free" if home.exists() else f"{home}: can be made")


def commits(folder: Path) -> Finding:
    """Write-ahead log and what one durable commit costs, measured where the home is."""
    took: list[float] = []
    try:
        with tempfile.TemporaryDirectory(prefix=".perdure-doctor-", dir=folder) as scratch:
            database = sqlite3.connect(Path(scratch) / "probe.db", isolation_level=None)
            mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            database.execute("PRAGMA synchronous=FULL")
            database.execute("CREATE TABLE probe (n INTEGER)")
            for n in range(COMMITS):
                began = time.perf_counter()
                database.execute("INSERT INTO probe VALUES (?)", (n,))
                took.append(time.perf_counter() - began)
            database.close()
    except (OSError, sqlite3.Error) as error:
        return Finding("fsync", Verdict.FAIL, f"cannot write in {folder}: {error}", "choose another home: --home DIR")
    if mode != "wal":
        return Finding("fsync", Verdict.FAIL, f"no write-ahead log in {folder}", "use a local file system for the home")
    middle = statistics.median(took) * 1000
    detail = f"a durable commit takes {middle:.2f} ms (write-ahead log, median of {COMMITS}, in {folder})"
    if middle < SLOW_COMMIT_MS:
        return Finding("fsync", Verdict.OK, detail)
    return Finding("fsync", Verdict.WARN, detail, "every activity waits for one: put the home on a faster disk")


def disk(folder: Path) -> Finding:
    """Free space and inodes for an ordinary user."""
    status = os.statvfs(folder)
    free_mib = status.f_bavail * status.f_frsize // MIB
    inodes = f"{status.f_favail} inodes" if status.f_files else "inodes without limit"
    detail = f"{free_mib} MiB and {inodes} free in {folder}"
    if free_mib < LOW_DISK_MIB or (status.f_files and status.f_favail < LOW_INODES):
        return Finding("disk", Verdict.WARN, detail, "make room, or put the home elsewhere: a full disk stops sessions")
    return Finding("disk", Verdict.OK, detail)


def listening(address: str) -> Finding:
    """Whether `serve` could listen where it would."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_server((host.strip("[]"), int(port))) as server:
            bound = server.getsockname()[1]
    except (OSError, ValueError, OverflowError) as error:
        return Finding("port", Verdict.WARN, f"cannot listen on {address}: {error}", "serve --grpc 127.0.0.1:0")
    return Finding("port", Verdict.OK, f"can listen on {address}" + (f" (got {bound})" if port == "0" else ""))


def open_files() -> Finding:
    """The limit of open files: a few for each live session."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = "any number" if hard == resource.RLIM_INFINITY else str(hard)
    detail = f"{soft} (may be raised to {highest})"
    if soft >= FEW_FILES:
        return Finding("open files", Verdict.OK, detail)
    if hard == resource.RLIM_INFINITY or hard >= FEW_FILES:
        remedy = f"ulimit -n {hard if 0 < hard < MANY_FILES else MANY_FILES}"
    else:
        remedy = (
            f"have root raise the hard limit of {hard} ({FEW_FILES} at least): nofile in /etc/security/limits.conf, "
            "LimitNOFILE= of a systemd unit, --ulimit nofile= of a container"
        )
    return Finding("open files", Verdict.WARN, detail, remedy)
