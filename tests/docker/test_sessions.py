"""Sessions in containers: what they return, what they see, how they end, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import json
import socket
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from docker_support import base_versions, begin, docker_host, kill_container, lost, of_host, result
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.docker.engine import Engine
from perdure_runner.host.egress import EgressConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]  # the first one may have to make the base image

CODE = '''
import ctypes, os, select, socket, time

def echo(event):
    return event

def look(event):
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return {
        "uid": os.getuid(), "caps": status["CapEff"].strip(), "bound": status["CapBnd"].strip(),
        "nnp": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
        "code": sorted(os.listdir(".")), "cell": sorted(os.listdir("/run/perdure")),
        "interfaces": [line.split(":")[0].strip() for line in list(open("/proc/net/dev"))[2:]],
        "memory": open("/sys/fs/cgroup/memory/memory.limit_in_bytes").read().strip()
        if os.path.exists("/sys/fs/cgroup/memory") else open("/sys/fs/cgroup/memory.max").read().strip(),
        "environment": sorted(os.environ), "pids": [int(name) for name in os.listdir("/proc") if name.isdigit()],
    }

def refused(event):
    """Names of those of these attempts that went wrong."""
    libc = ctypes.CDLL(None, use_errno=True)
    def call(*arguments):
        if libc.syscall(*arguments) == -1:
            raise OSError(ctypes.get_errno(), "refused")
    def zygote_memory():
        for pid in (1, os.getppid()):
            open(f"/proc/{pid}/mem", "rb").close()
    attempts = {
        "write /": lambda: open("/x", "w"),
        "write /etc": lambda: open("/etc/passwd", "a"),
        "write code": lambda: open("handlers.py", "a"),
        "chmod code": lambda: os.chmod("handlers.py", 0o777),
        "unlink code": lambda: os.unlink("handlers.py"),
        "unshare user": lambda: call(272, 0x10000000),
        "mount": lambda: call(165, b"tmpfs", b"/tmp", b"tmpfs", 0, None),
        "ptrace": lambda: call(101, 16, os.getppid(), None, None),
        "io_uring": lambda: call(425, 1, ctypes.create_string_buffer(256)),
        "bpf": lambda: call(321, 0, None, 0),
        "keyctl": lambda: call(250, 0, -3, 0),
        "userfaultfd": lambda: call(323, 1),
        "perf": lambda: call(298, None, 0, -1, -1, 0),
        "vsock": lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close(),
        "audit": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9).close(),
        "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
        "device": lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)),
        "root": lambda: os.setuid(0),
        "zygote": zygote_memory,
        "outside": lambda: socket.create_connection(("192.0.2.1", 80), 2).close(),
    }
    wrong = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError:
            wrong.append(name)
    return [name for name in attempts if name not in wrong]

def bomb(event):
    held = []
    while True:
        held.append(bytearray(8 << 20))

def leave(event):
    os._exit(137)

def forks(event):
    count = 0
    try:
        for count in range(1000):
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
    except OSError:
        pass
    return count

def fill(event):
    written = 0
    try:
        with open("/tmp/x", "wb", buffering=0) as file:
            while True:
                written += file.write(bytes(1 << 20))
    except OSError:
        pass
    return written

def files(event):
    made = 0
    try:
        for made in range(100_000):
            open(f"/tmp/{made}", "w").close()
    except OSError:
        pass
    return made

def linger(event):
    select.select([], [], [], 60)

def ask(event):
    """First lines of what comes back for each of these targets of CONNECT."""
    answers = []
    for target in event:
        with socket.create_connection(("127.0.0.1", 3128), 10) as proxy:
            proxy.sendall(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n".encode())
            answers.append(proxy.recv(100).decode().split()[1])
    return [answers, os.environ["HTTPS_PROXY"]]

def forks_on(event):
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)

def fills_on(event):
    with open("/tmp/x", "wb", buffering=0) as file:
        while True:
            if file.write(bytes(1 << 20)) < 1 << 20:
                file.write(b"x")

def opens_on(event):
    held = []
    while True:
        held.append(open("handlers.py"))

def spin(event):
    print("spinning", flush=True)
    while True:
        time.sleep(1)
'''
MIB = 1 << 20


async def test_a_session_in_a_container(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (host, coordinator, build):
        hello = coordinator.heard[0].hello
        assert (list(hello.capabilities), hello.isolation) == (["docker"], "docker")
        assert list(hello.pythons) == base_versions(engine)
        begin(coordinator, build, "echo", event=b'{"a": [1, 2.5, "x"]}')
        assert await result(coordinator) == {"a": [1, 2.5, "x"]}
        assert of_host(engine, host.config.host_id)  # at least a warm one
    assert of_host(engine, host.config.host_id) == []
    assert list((tmp_path / "cells").iterdir()) == []


async def test_what_a_session_sees(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (host, coordinator, build):
        begin(coordinator, build, "look", limits=runner.Limits(memory_bytes=100 * MIB), vars={"NAME": "value"})
        seen = await result(coordinator)
        names = {name for each in of_host(engine, host.config.host_id) for name in each["Names"]}
    assert (seen["uid"], seen["caps"], seen["bound"]) == (65532, "0" * 16, "0" * 16)
    assert (seen["nnp"], seen["seccomp"]) == ("1", "2")
    assert (seen["code"], seen["cell"]) == (["handlers.py"], ["cache", "code"])
    assert seen["interfaces"] == ["lo"]
    assert int(seen["memory"]) == (100 + 32) * MIB
    assert set(seen["environment"]) == {"HOME", "LANG", "NAME", "PATH", "PYTHONUNBUFFERED"}
    assert len(seen["pids"]) == 3  # the engine's init, the zygote, and itself
    assert all(name.startswith("/perdure-") for name in names)


async def test_what_a_session_cannot_do(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (_, coordinator, build):
        begin(coordinator, build, "refused")
        assert await result(coordinator) == []


async def test_how_containers_are_made(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (host, coordinator, build):
        limits = runner.Limits(memory_bytes=64 * MIB, cpus=0.5, processes=20, disk_bytes=5 * MIB, files=100)
        begin(coordinator, build, "spin", limits=limits)
        await coordinator.next("attached")
        asked = Engine(engine)
        made: list[dict[str, Any]] = [
            asked.ask(lambda client, each=each: client.api.inspect_container(each["Id"]))
            for each in of_host(engine, host.config.host_id)
        ]
        asked.close()
        for each in made:
            given = each["HostConfig"]
            assert (given["ReadonlyRootfs"], given["CapDrop"], given["NetworkMode"]) == (True, ["ALL"], "none")
            assert (given["Init"], given["Privileged"], given["PortBindings"] or {}) == (True, False, {})
            assert given["SecurityOpt"][0] == "no-new-privileges:true"
            assert '"SCMP_ACT_ERRNO"' in given["SecurityOpt"][1]
            assert (given["Memory"], given["MemorySwap"]) == ((64 + 32) * MIB,) * 2
            assert (given["NanoCpus"], given["PidsLimit"]) == (500_000_000, 22)
            assert given["LogConfig"] == {"Type": "local", "Config": {"max-file": "2", "max-size": "1m"}}
            assert [bind.rpartition(":")[2] for bind in given["Binds"]] == ["ro"]
            assert each["Config"]["User"] == "65532:65532"
            assert each["Config"]["Labels"]["perdure"] == "session"


async def test_memory_is_told_from_other_ends(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (_, coordinator, build):
        small = runner.Limits(memory_bytes=64 * MIB)
        begin(coordinator, build, "spin", "bystander")
        await coordinator.next("attached")
        begin(coordinator, build, "bomb", "bomb", limits=small)
        end = await lost(coordinator, "bomb")
        assert (end.code, end.fatal, end.exit_code) == ("P0603", True, -9)
        assert "64 MiB" in end.reason
        begin(coordinator, build, "leave", "leave", limits=small)
        end = await lost(coordinator, "leave")
        assert (end.code, end.fatal, end.exit_code) == ("", False, 137)
        assert not any(heard.HasField("lost") and heard.lost.session_id == "bystander" for heard in coordinator.heard)


async def test_processes_and_files_are_limited(tmp_path: Path, engine: str) -> None:
    limits = runner.Limits(processes=20, disk_bytes=4 * MIB, files=50)
    async with docker_host(tmp_path, engine, CODE) as (_, coordinator, build):
        for name in ("forks", "fill", "files"):
            begin(coordinator, build, name, name, limits=limits)
        assert await result(coordinator, "forks") < 20
    async with docker_host(tmp_path, engine, CODE) as (_, coordinator, build):
        begin(coordinator, build, "fill", "fill", limits=limits)
        assert await result(coordinator, "fill") <= 4 * MIB
        begin(coordinator, build, "files", "files", limits=limits)
        assert await result(coordinator, "files") < 50


@pytest.mark.parametrize(
    ("name", "code"),
    [("forks_on", "P0606"), ("fills_on", "P0607"), ("opens_on", "P0612")],
    ids=["forks", "disk", "files"],
)
async def test_a_limit_that_ends_a_session_is_named(tmp_path: Path, engine: str, name: str, code: str) -> None:
    limits = runner.Limits(processes=20, disk_bytes=4 * MIB, files=50, open_files=40)
    async with docker_host(tmp_path, engine, CODE) as (_, coordinator, build):
        begin(coordinator, build, name, limits=limits)
        done = await coordinator.next("done")
        assert (done.state, done.error.code) == (runner.DONE_STATE_FAILED, code)


async def test_a_polite_stop_and_a_kill(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (host, coordinator, build):
        coordinator.start("handlers.py:linger", "polite", build=build)
        await coordinator.next("attached")
        coordinator.stop(runner.STOP_KIND_POLITE, "polite")
        done = await coordinator.next("done")
        assert done.state == runner.DONE_STATE_STOPPED
        begin(coordinator, build, "spin", "killed")
        await coordinator.next("attached")
        coordinator.stop(runner.STOP_KIND_KILL, "killed")
        assert (await lost(coordinator, "killed")).exit_code == -9
        begin(coordinator, build, "echo", "after", event=b"1")
        assert await result(coordinator, "after") == 1
    assert of_host(engine, host.config.host_id) == []


async def test_a_container_that_somebody_kills(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (host, coordinator, build):
        begin(coordinator, build, "spin", "s1")
        await coordinator.next("attached")
        await asyncio.to_thread(kill_container, engine, host.config.host_id, "perdure-s1-1")
        end = await lost(coordinator, "s1")
        assert (end.code, end.fatal, end.exit_code) == ("", False, -9)


async def test_sessions_share_nothing(tmp_path: Path, engine: str) -> None:
    code = """
import os
def write(event):
    open("/tmp/mine", "w").write("secret")
    open("/dev/shm/mine", "w").write("secret")
    return os.getpid()
def read(event):
    return [os.path.exists("/tmp/mine"), os.path.exists("/dev/shm/mine"), sorted(os.listdir("/tmp"))]
"""
    async with docker_host(tmp_path, engine, code) as (_, coordinator, build):
        begin(coordinator, build, "write", "a")
        await result(coordinator, "a")
        begin(coordinator, build, "read", "b")
        assert await result(coordinator, "b") == [False, False, []]


async def test_only_the_hosts_of_a_project_are_reached(tmp_path: Path, engine: str) -> None:
    egress = EgressConfig(private=(ip_network("127.0.0.0/8"),))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        network = runner.Network(mode=runner.NETWORK_MODE_HOSTS, hosts=[f"127.0.0.1:{port}"])
        async with docker_host(tmp_path, engine, CODE, egress=egress) as (_, coordinator, build):
            targets = [f"127.0.0.1:{port}", "127.0.0.1:1", "192.0.2.1:443"]
            begin(coordinator, build, "ask", event=json.dumps(targets).encode(), network=network)
            assert await result(coordinator) == [["200", "403", "403"], "http://127.0.0.1:3128"]


async def test_a_session_that_may_reach_everything(tmp_path: Path, engine: str) -> None:
    network = runner.Network(mode=runner.NETWORK_MODE_ALL)
    async with docker_host(tmp_path, engine, CODE) as (_, coordinator, build):
        for session_id in ("one", "two"):
            begin(coordinator, build, "look", session_id, network=network)
        done = [await coordinator.next("done") for _ in range(2)]
        for each in done:
            assert sorted(json.loads(each.result.data)["interfaces"]) == ["eth0", "lo"]


async def test_many_at_once(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (host, coordinator, build):
        for number in range(6):
            begin(coordinator, build, "echo", f"s{number}", event=b"%d" % number)
        done = [await coordinator.next("done") for _ in range(6)]
        assert {each.session_id for each in done} == {f"s{number}" for number in range(6)}
        await asyncio.sleep(0)
    assert of_host(engine, host.config.host_id) == []
