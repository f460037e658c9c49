"""Each layer of the sandbox, asserted from inside a session."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
from inside import inside
from perdure_proto.v1 import runner_pb2 as runner

KERNEL = ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger")  # opened, never written


async def test_identity_and_privileges(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        seen = await here.see("""
            lines = dict(line.split(":", 1) for line in reading("/proc/self/status").splitlines())
            return {
                "status": {name: lines[name].split() for name in lines if name.startswith(("Cap", "NoNew", "Secc"))},
                "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
                "name": os.uname().nodename,
                "user": __import__("pwd").getpwuid(os.getuid()).pw_name,
            }
        """)
    status = seen["status"]
    assert all(int(status[name][0], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]
    assert seen["ids"] == [[1000] * 3, [1000] * 3, [] if os.geteuid() == 0 else seen["ids"][2]]
    assert (seen["name"], seen["user"]) == ("runner", "runner")


def _field(status: str, name: str) -> list[str]:
    return next((line.split()[1:] for line in status.splitlines() if line.startswith(f"{name}:")), [])


async def test_outside_it_is_nobody_that_owns_anything(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        session = here.start("time.sleep(30)")
        await here.coordinator.next("attached")
        pid = await here.pid(session)
        status = Path(f"/proc/{pid}/status").read_text()
        here.coordinator.stop(runner.STOP_KIND_KILL, session_id=session)
        await here.end(session)
    assert len(_field(status, "NSpid")) >= 2
    user = int(_field(status, "Uid")[0])
    assert user >= 65534 if os.geteuid() == 0 else user == os.geteuid()


async def test_files(tmp_path: Path, namespaces: str) -> None:
    state = tmp_path / "state"
    secret = tmp_path / "secret"
    secret.write_text("for the host's eyes only")
    (tmp_path / "home").mkdir()
    async with inside(state, namespaces) as here:
        await here.see("return 1")  # another session's build is there, too
        seen = await here.see(f"""
            return {{
                "root": sorted(os.listdir("/")),
                "secret": reading({str(secret)!r}),
                "builds": os.listdir({str(state / "builds")!r}),
                "state": os.listdir({str(state)!r}),
                "gone": [path for path in ("/var", "/sys", "/run", "/home", "/boot") if os.path.exists(path)],
                "shadow": reading("/etc/shadow"),
                "hosts": reading("/etc/hosts"),
                "usr": writing("/usr/x"),
                "etc": writing("/etc/passwd"),
                "base": writing("/x"),
                "interpreter": writing(os.path.dirname(os.__file__) + "/os.py"),
                "own": open("main.py").read()[:7],
                "devices": sorted(os.listdir("/dev")),
                "kernel": [path for path in {KERNEL!r} if type(attempt(os.open, path, os.O_WRONLY)) is int],
                "shell": subprocess.check_output(["sh", "-c", "echo $HOME | wc -c"], text=True).strip(),
            }}
        """)
    assert "proc" in seen["root"]
    assert ".session" in seen["root"]
    assert seen["secret"] == seen["shadow"] == "ENOENT"
    assert len(seen["builds"]) == 1
    assert seen["state"] == ["builds"]
    assert seen["gone"] == seen["kernel"] == []
    assert "localhost" in seen["hosts"]
    assert {seen["usr"], seen["etc"], seen["base"], seen["interpreter"]} == {"EROFS"}
    assert seen["own"] == "\nimport"
    assert {"null", "urandom"} < set(seen["devices"])
    assert "mem" not in seen["devices"]


async def test_what_is_written_is_the_session_s_own(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        write = """
            before = [os.path.exists(name) for name in ("/tmp/x", "x.txt", "/dev/shm/x")]
            for name in ("/tmp/x", "x.txt", "/dev/shm/x"):
                open(name, "w").write("x")
            os.unlink("main.py")
            return [before, sorted(os.listdir(".")), open("x.txt").read()]
        """
        first = await here.see(write)
        second = await here.see(write)
        for build in (tmp_path / "builds").glob("*/code"):
            assert [path.name for path in build.iterdir()] == ["main.py"]
    assert first == second == [[False] * 3, ["x.txt"], "x"]


async def test_processes(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        seen = await here.see("""
            return {
                "pid": os.getpid(),
                "all": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
                "init": [
                    reading("/proc/1/environ"), attempt(os.readlink, "/proc/1/root"), attempt(os.listdir, "/proc/1/fd")
                ],
                "kill": attempt(os.kill, 1, signal.SIGKILL),
                "variables": sorted(os.environ),
                "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:5],
                "three": os.readlink("/proc/self/fd/3").partition(":")[0],
            }
        """)
    assert seen["pid"] == 2
    assert seen["all"] == [1, 2]
    assert set(map(str, seen["init"])) <= {"EACCES", "EPERM"}
    assert seen["kill"] in {"EPERM", None}, "as the same user outside, it is allowed to try: a first process ignores it"
    assert seen["variables"] == ["HOME", "LANG", "PATH", "PYTHONUNBUFFERED"]
    assert seen["descriptors"] == [0, 1, 2, 3, 4]  # 4: the listing itself
    assert seen["three"] == "socket"


async def test_network_none(tmp_path: Path, namespaces: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        async with inside(tmp_path, namespaces) as here:
            seen = await here.see(f"""
                def reach(address):
                    with socket.socket() as connection:
                        connection.settimeout(3)
                        connection.connect(address)
                listener = socket.create_server(("127.0.0.1", 0))
                return {{
                    "interfaces": os.listdir("/proc/net/dev_snmp6"),
                    "host": attempt(reach, ("127.0.0.1", {port})),
                    "elsewhere": attempt(reach, ("192.0.2.1", 80)),
                    "metadata": attempt(reach, ("169.254.169.254", 80)),
                    "itself": attempt(reach, listener.getsockname()),
                    "raw": attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
                    "packet": attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW),
                    "netlink": attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),
                }}
            """)
    assert seen["interfaces"] == ["lo"]
    assert seen["host"] == "ECONNREFUSED"
    assert seen["elsewhere"] == seen["metadata"] == "ENETUNREACH"
    assert seen["itself"] is None
    assert seen["raw"] == "EPERM"
    assert seen["packet"] == seen["netlink"] == "EAFNOSUPPORT"


async def test_network_all(tmp_path: Path, namespaces: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with inside(tmp_path, namespaces) as here:
            reached = await here.see(
                f"return socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 3).getpeername()[0]",
                network=runner.NETWORK_MODE_ALL,
            )
    assert reached == "127.0.0.1"


@pytest.mark.parametrize("isolation", ["namespaces", "landlock"])
async def test_system_calls(tmp_path: Path, isolation: str, reasons: dict[str, str]) -> None:
    if reasons[isolation]:
        pytest.skip(reasons[isolation])
    async with inside(tmp_path, isolation) as here:
        seen = await here.see("""
            NEWUSER = 0x10000000
            return {
                "unshare": call("unshare", NEWUSER),
                "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
                "ptrace": call("ptrace", 0, 0, 0, 0),
                "setns": call("setns", 0, 0),
                "personality": call("personality", 8),
                "bpf": call("syscall", 321 if os.uname().machine == "x86_64" else 280, 0, 0, 0),
                "io_uring": call("syscall", 425, 1, 0),
                "clone": call("syscall", 56 if os.uname().machine == "x86_64" else 220, NEWUSER | 17, 0, 0, 0, 0),
                "clone3": call("syscall", 435, 0, 0),
                "newer": call("syscall", 600, 0, 0),
                "terminal": call("ioctl", 0, 0x5412, b"x"),
                "vsock": attempt(socket.socket, 40, socket.SOCK_STREAM),
                "thread": [t.start() or t.join() for t in [threading.Thread(target=int)]],
                "fork": subprocess.call(["true"]),
            }
        """)
    refused = dict.fromkeys(("unshare", "mount", "ptrace", "setns", "personality", "bpf", "io_uring", "clone"), "EPERM")
    missing = {"clone3": "ENOSYS", "newer": "ENOSYS"}
    rest = {"terminal": "EPERM", "vsock": "EAFNOSUPPORT", "thread": [None], "fork": 0}
    assert seen == refused | missing | rest


async def test_counts_of_the_user_namespace(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        made = await here.see("""
            made = 0
            while libc.inotify_init1(0) >= 0:
                made += 1
            return [made, errno.errorcode[ctypes.get_errno()]]
        """)
    assert made == [8, "EMFILE"]


async def test_the_own_profile_is_the_developer_s(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text("mine")
    async with inside(tmp_path / "state", "own") as here:
        seen = await here.see(f"""
            lines = dict(line.split(":", 1) for line in reading("/proc/self/status").splitlines())
            return {{
                "read": reading({str(note)!r}),
                "write": writing({str(tmp_path / "new")!r}),
                "user": os.getuid(),
                "seccomp": lines["Seccomp"].strip(),
                "privileges": lines["NoNewPrivs"].strip(),
                "debugger": call("ptrace", 16, 999_999_999, 0, 0),
                "modules": call("syscall", 176 if os.uname().machine == "x86_64" else 106, b"none", 0),
                "group": os.getpgid(0) == os.getpid(),
            }}
        """)
    assert seen == {
        "read": "mine",
        "write": 1,
        "user": os.geteuid(),
        "seccomp": "2",
        "privileges": "1",
        "debugger": "ESRCH",
        "modules": "EPERM",
        "group": True,
    }


async def test_landlock(tmp_path: Path, landlock: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        async with inside(tmp_path / "state", landlock) as here:
            seen = await here.see(f"""
                import tempfile
                with tempfile.TemporaryDirectory() as folder:
                    temporary = writing(folder + "/x")
                return {{
                    "secret": reading({str(secret)!r}),
                    "home": attempt(os.listdir, {str(tmp_path)!r}),
                    "temporary": temporary,
                    "scratch": tempfile.gettempdir(),
                    "cwd": writing("x.txt"),
                    "usr": writing("/usr/x"),
                    "own": reading("main.py")[:7],
                    "reach": attempt(socket.create_connection, ("127.0.0.1", {port})),
                    "udp": attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM),
                    "signal": attempt(os.kill, os.getppid(), 0),
                    "others": attempt(os.listdir, f"/proc/{{os.getppid()}}"),
                }}
            """)
        async with asyncio.timeout(60):
            assert Path(seen["scratch"]).parent == tmp_path / "state" / "scratch"
            while Path(seen["scratch"]).exists():
                await asyncio.sleep(0.005)
    assert seen["secret"] == seen["home"] == seen["cwd"] == seen["usr"] == seen["others"] == "EACCES"
    assert (seen["temporary"], seen["own"]) == (1, "\nimport")
    assert seen["reach"] == seen["udp"] == "EAFNOSUPPORT"
    assert seen["signal"] == "EPERM"
