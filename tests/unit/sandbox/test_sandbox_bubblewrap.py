"""The same promises, kept by bubblewrap."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from inside import inside
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.cgroups import Groups

MIB = 1 << 20
KERNEL = ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger")  # opened, never written


async def test_from_inside(tmp_path: Path, bubblewrap: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with inside(tmp_path / "state", bubblewrap) as here:
            seen = await here.see(f"""
                lines = dict(line.split(":", 1) for line in reading("/proc/self/status").splitlines())
                return {{
                    "capabilities": int(lines["CapBnd"], 16) | int(lines["CapEff"], 16),
                    "filter": [lines["NoNewPrivs"].strip(), lines["Seccomp"].strip()],
                    "user": os.getresuid(),
                    "secret": reading({str(secret)!r}),
                    "cwd": writing("x.txt"),
                    "tmp": writing("/tmp/x"),
                    "gone": [path for path in ("/var", "/sys", "/home") if os.path.exists(path)],
                    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
                    "host": attempt(socket.create_connection, ("127.0.0.1", {server.getsockname()[1]})),
                    "unshare": call("unshare", 0x10000000),
                    "variables": sorted(os.environ),
                    "kernel": [opened for path in {KERNEL!r} if type(opened := attempt(os.open, path, 1)) is int],
                    "inherited": subprocess.check_output(["ls", "/proc/self/fd"], close_fds=False, text=True).split(),
                }}
            """)
    assert seen == {
        "capabilities": 0,
        "filter": ["1", "2"],
        "user": [1000] * 3,
        "secret": "ENOENT",
        "cwd": "EROFS",
        "tmp": 1,
        "gone": [],
        "processes": [1, 2],
        "host": "ECONNREFUSED",
        "unshare": "EPERM",
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


async def test_stop_and_kill(tmp_path: Path, bubblewrap: str) -> None:
    async with inside(tmp_path, bubblewrap) as here:
        session = here.start(
            "signal.signal(signal.SIGUSR1, lambda *_: os._exit(5))\nopen('/tmp/up', 'w')\ntime.sleep(60)"
        )
        await here.coordinator.next("attached")
        pid = here.host.sessions[session].pid
        assert Path(f"/proc/{pid}/root/proc").exists(), "the host knows the runner by its own number"
        here.coordinator.stop(runner.STOP_KIND_KILL, session_id=session, reason="enough")
        ended = await here.end(session)
        assert "killed" in ended.lost.reason
        assert not Path(f"/proc/{pid}/exe").exists()
