"""The same promises, kept by bubblewrap."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
from inside import inside
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host import isolation
from perdure_runner.host.cgroups import Groups
from perdure_runner.host.config import HostConfig

MIB = 1 << 20
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
FILLING = """
    def fill(folder):
        os.mkdir(f"{folder}/x")
        for number in range(1, 100):
            if attempt(os.mkdir, f"{folder}/x/{number}") == "ENOSPC":
                return number
        return 100

    return {folder: fill(folder) for folder in ("/tmp", "/dev/shm")}
"""
WITHOUT_CAPABILITIES = """
for word in "$@"; do
    shift
    if [ "$word" = --cap-add ]; then skip=1; elif [ "$skip" ]; then skip=; else set -- "$@" "$word"; fi
done
"""
WITHOUT_SIZE = """
case "$*" in *--size*) echo "bwrap: The --size option is not permitted in setuid mode" >&2; exit 1; esac
"""
KERNEL = ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger")  # opened, never written


def replace_bwrap(folder: Path, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """Have one that does something else first."""
    (folder / "bin").mkdir()
    (folder / "bin" / "bwrap").write_text(f'#!/bin/sh\n{before}\nexec {shutil.which("bwrap")} "$@"\n')
    (folder / "bin" / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


async def test_from_inside(tmp_path: Path, bubblewrap: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with inside(tmp_path / "state", bubblewrap) as here:
            seen = await here.see(f"""
                def status(pid):
                    return dict(line.split(":", 1) for line in reading(f"/proc/{{pid}}/status").splitlines())
                lines = status("self")
                while int((first := status(1))["CapEff"], 16):  # it starts us, and gives up its own then
                    os.sched_yield()
                return {{
                    "capabilities": {{name: int(lines[name], 16) for name in {SETS!r}}},
                    "of the first process": [int(first[name], 16) for name in {SETS!r} if name != "CapBnd"],
                    "filter": [lines["NoNewPrivs"].strip(), lines["Seccomp"].strip()],
                    "user": os.getresuid(),
                    "secret": reading({str(secret)!r}),
                    "cwd": writing("x.txt"),
                    "tmp": writing("/tmp/x"),
                    "gone": [path for path in ("/var", "/sys", "/home") if os.path.exists(path)],
                    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
                    "host": attempt(socket.create_connection, ("127.0.0.1", {server.getsockname()[1]})),
                    "unshare": call("unshare", 0x10000000),
                    "resizing": call("mount", b"none", b"/tmp", None, ctypes.c_ulong(32 | 2 | 4), b"nr_inodes=10000"),
                    "devices": sorted(os.listdir("/dev")),
                    "read-only": [writing(path) for path in ("/x", "/dev/x")],
                    "variables": sorted(os.environ),
                    "kernel": [opened for path in {KERNEL!r} if type(opened := attempt(os.open, path, 1)) is int],
                    "inherited": subprocess.check_output(["ls", "/proc/self/fd"], close_fds=False, text=True).split(),
                }}
            """)
    assert seen == {
        "capabilities": dict.fromkeys(SETS, 0),
        "of the first process": [0] * 4,
        "filter": ["1", "2"],
        "user": [1000] * 3,
        "secret": "ENOENT",
        "cwd": "EROFS",
        "tmp": 1,
        "gone": [],
        "processes": [1, 2],
        "host": "ECONNREFUSED",
        "unshare": "EPERM",
        "resizing": "EPERM",
        "devices": ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"],
        "read-only": ["EROFS", "EROFS"],
        "variables": ["HOME", "LANG", "PATH", "PYTHONUNBUFFERED"],
        "kernel": [],
        "inherited": ["0", "1", "2", "3"],  # 3: the listing itself
    }


async def test_limits(tmp_path: Path, bubblewrap: str) -> None:
    groups = Groups()
    counted = "memory" in groups.controllers
    groups.close()
    async with inside(tmp_path, bubblewrap) as here:
        ended = await here.end(here.start("open('/tmp/x', 'wb').write(bytes(5 << 20))", disk_bytes=4 * MIB))
        assert ended.done.error.code == "P0607"
        if not counted:
            pytest.skip("no control groups")
        body = """
            keep = b"x" * (100 << 20)
            subprocess.Popen([sys.executable, "-S", "-c", "import time; x = b'x' * (60 << 20); time.sleep(60)"]).wait()
            time.sleep(60)
        """
        ended = await here.end(here.start(body, memory_bytes=128 * MIB))
        assert ended.lost.code == "P0603"


async def test_files_are_counted(tmp_path: Path, bubblewrap: str) -> None:
    """Though the host's folders, which are in /tmp here, take some of the places in it."""
    async with inside(tmp_path, bubblewrap) as here:
        assert await here.see(FILLING, files=40) == {"/tmp": 40, "/dev/shm": 40}
        ended = await here.end(here.start("for number in range(41):\n    open(f'/tmp/{number}', 'w')", files=40))
        assert ended.done.error.code == "P0607"


async def test_where_a_program_gets_no_capability_files_are_not_counted(
    tmp_path: Path, bubblewrap: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where AppArmor lets bwrap have some, and what it starts none."""
    replace_bwrap(tmp_path, monkeypatch, WITHOUT_CAPABILITIES)
    async with inside(tmp_path / "state", bubblewrap) as here:
        assert await here.see(FILLING, files=40) == {"/tmp": 100, "/dev/shm": 100}
    said = capsys.readouterr().err
    assert "cannot limit the number of files here: PermissionError" in said
    assert "Traceback" not in said


async def test_one_that_limits_no_bytes_is_none(
    tmp_path: Path, bubblewrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a set-user-id bit it refuses, and sessions of ordinary projects could not start."""
    replace_bwrap(tmp_path, monkeypatch, WITHOUT_SIZE)
    found = await isolation.survey(HostConfig(state_dir=tmp_path / "state", isolation=bubblewrap), sys.executable)
    assert found.reasons["bubblewrap"] == "bwrap: The --size option is not permitted in setuid mode"


async def test_stop_and_kill(tmp_path: Path, bubblewrap: str) -> None:
    async with inside(tmp_path, bubblewrap) as here:
        session = here.start(
            "signal.signal(signal.SIGUSR1, lambda *_: os._exit(5))\nopen('/tmp/up', 'w')\ntime.sleep(60)"
        )
        await here.coordinator.next("attached")
        pid = await here.pid(session)
        assert Path(f"/proc/{pid}/root/proc").exists(), "the host knows the runner by its own number"
        here.coordinator.stop(runner.STOP_KIND_KILL, session_id=session, reason="enough")
        ended = await here.end(session)
        assert "killed" in ended.lost.reason
        assert not Path(f"/proc/{pid}/exe").exists()
