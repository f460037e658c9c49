"""The Docker backend's own decisions, without an engine: shapes, the pool, the profile, whose a container is."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.docker import ending, seccomp
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.docker.engine import EngineError
from perdure_runner.host.docker.layers import Item, archive
from perdure_runner.host.docker.pool import Pool
from perdure_runner.host.docker.shape import Shape
from perdure_runner.host.pythons import Interpreter

PYTHON = Interpreter("/usr/bin/python3", (3, 11, 2), "docker-cpython-311", foreign=True)
MIB = 1 << 20


def shape(seed: int = 0, **limits: float) -> Shape:
    return Shape.of(runner.Start(hash_seed=seed, limits=runner.Limits(**limits)), "image")


class FakeCell:
    """A cell that the pool cannot tell from a real one."""

    def __init__(self, of: Shape) -> None:
        self.shape, self.python, self.alive, self.ended = of, PYTHON, True, False
        self.left = None

    def end(self) -> None:
        self.alive, self.ended = False, True


class Making:
    """Makes cells when it is told to; keeps what it made."""

    def __init__(self) -> None:
        self.made: list[FakeCell] = []
        self.error: Exception | None = None

    async def make(self, of: Shape, _python: Interpreter) -> FakeCell:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.made.append(FakeCell(of))
        return self.made[-1]


def pool(making: Making, warm: int = 2) -> Pool:
    return Pool(making.make, warm, 2)  # type: ignore[arg-type]  # fakes


async def settled(of: Pool) -> None:
    while of._filling:
        await asyncio.wait(set(of._filling))


async def test_a_cell_stays_until_it_gets_its_runner() -> None:
    making = Making()
    cells = pool(making)
    first = await cells.get(shape(), PYTHON)
    assert cells.peek(shape()) is first
    assert await cells.get(shape(), PYTHON) is first
    assert first.left is not None
    first.left(first)
    assert cells.peek(shape()) is None
    assert cells.peek(shape(seed=1)) is None


async def test_what_left_is_replaced_and_the_dead_are_passed_over() -> None:
    making = Making()
    cells = pool(making)
    cells.warm(shape(), PYTHON)
    await settled(cells)
    assert (len(making.made), cells.waiting) == (2, 2)
    making.made[0].alive = False
    assert cells.peek(shape()) is making.made[1]  # type: ignore[comparison-overlap]  # fakes
    cells.warm(shape(), PYTHON)
    await settled(cells)
    assert cells.waiting == 2


async def test_only_shapes_used_lately_are_kept_warm() -> None:
    making = Making()
    cells = pool(making, warm=1)
    for seed in range(6):
        cells.warm(shape(seed), PYTHON)
        await settled(cells)
    assert [cell.shape.seed for cell in making.made if cell.ended] == [0, 1]
    await cells.close()
    assert all(cell.ended for cell in making.made)


async def test_a_cell_that_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    making = Making()
    making.error = EngineError("no room")
    cells = pool(making)
    with pytest.raises(EngineError, match="no room"):
        await cells.get(shape(), PYTHON)
    cells.warm(shape(), PYTHON)
    await settled(cells)
    assert "no warm container: no room" in capsys.readouterr().err
    making.error = None
    assert await cells.get(shape(), PYTHON) is making.made[0]  # type: ignore[comparison-overlap]  # fakes


async def test_a_closed_pool_keeps_nothing() -> None:
    making = Making()
    cells = pool(making)
    await cells.close()
    cells.warm(shape(), PYTHON)
    await settled(cells)
    assert (making.made, cells.waiting) == ([], 0)


def test_every_container_has_every_limit() -> None:
    for of in (shape(), shape(memory_bytes=64 * MIB, processes=5, disk_bytes=MIB, files=10, open_files=20, cpus=0.5)):
        given = of.container(DockerConfig(), "perdure")
        assert given["mem_limit"] == given["memswap_limit"] == of.memory_bytes + 32 * MIB
        assert given["pids_limit"] == of.processes + 2
        assert given["read_only"] is given["init"] is True
        assert (given["cap_drop"], given["network_mode"], given["user"]) == (["ALL"], "none", "65532:65532")
        assert f"size={of.disk_bytes},nr_inodes={of.files}," in given["tmpfs"]["/tmp"]
        assert "ports" not in given
        assert "privileged" not in given
    assert given["nano_cpus"] == 500_000_000
    assert "runtime" not in given
    assert shape().container(DockerConfig(runtime="runsc"), "perdure")["runtime"] == "runsc"


def test_an_engine_is_asked_for_nothing_that_it_refuses() -> None:
    given = shape(cpus=1000.0, open_files=4).container(DockerConfig(), "perdure")
    assert given["nano_cpus"] == (os.cpu_count() or 1) * 1_000_000_000
    assert given["ulimits"][0]["Soft"] == 256
    assert shape(cpus=0.001).container(DockerConfig(), "perdure")["nano_cpus"] == 10_000_000


def test_only_who_may_reach_everything_gets_a_network() -> None:
    for mode, network in (
        (runner.NETWORK_MODE_UNSPECIFIED, "none"),
        (runner.NETWORK_MODE_NONE, "none"),
        (runner.NETWORK_MODE_HOSTS, "none"),
        (runner.NETWORK_MODE_ALL, "perdure"),
    ):
        start = runner.Start(network=runner.Network(mode=mode))
        assert Shape.of(start, "image").container(DockerConfig(), "perdure")["network_mode"] == network


def test_the_profile_allows_by_name_only() -> None:
    profile = json.loads(seccomp.profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    plainly = {name for rule in profile["syscalls"] if not rule["args"] for name in rule["names"]}
    refused = {"io_uring_setup", "unshare", "setns", "mount", "ptrace", "bpf", "keyctl", "add_key", "perf_event_open"}
    refused |= {"userfaultfd", "process_vm_readv", "process_vm_writev", "open_by_handle_at", "kexec_load", "reboot"}
    assert not plainly & (refused | {"socket", "clone", "personality"})
    families = {rule["args"][0]["value"] for rule in profile["syscalls"] if rule["names"] == ["socket"]}
    assert families == {1, 2, 10, 16}


def test_whose_a_container_is() -> None:
    boot, namespace, pid, started = ending.owner().split(" ")
    assert pid == str(os.getpid())
    assert not ending._orphan(ending.owner())
    assert ending._orphan(f"{boot} {namespace} {pid} {int(started) - 1}")  # another process had this number
    assert ending._orphan(f"another {namespace} {pid} {started}")
    assert ending._orphan(f"{boot} {namespace} {1 << 30} 1")
    assert not ending._orphan(f"{boot} pid:[1] {1 << 30} 1")  # nobody here can tell


def test_layers_are_the_same_for_the_same_content(tmp_path: Path) -> None:
    packed = []
    for number, name in enumerate(("one", "two")):
        folder = tmp_path / name
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "module.py").write_text("x = 1\n")
        (folder / "__pycache__" / "module.pyc").write_bytes(bytes([number]))
        os.utime(folder / "module.py", (number, number))
        packed.append(archive([Item("opt/x", folder)]))
    assert packed[0] == packed[1]
