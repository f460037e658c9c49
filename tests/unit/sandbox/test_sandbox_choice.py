"""Which isolation a host takes, and control groups of both versions."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from perdure_proto.v1.runner_pb2 import Limits
from perdure_runner.host import isolation
from perdure_runner.host.cgroups import Groups, mebibytes
from perdure_runner.host.config import HostConfig, Profile
from perdure_runner.host.isolation import IsolationError, decide

MIB = 1 << 20
FINE = dict.fromkeys(isolation.KINDS, "")


def lacking(*kinds: str) -> dict[str, str]:
    return FINE | {kind: f"no {kind} here" for kind in kinds}


@pytest.mark.parametrize(
    ("lacks", "kind"),
    [
        ((), "namespaces"),
        (("namespaces",), "bubblewrap"),
        (("namespaces", "bubblewrap"), "landlock"),
        (("namespaces", "bubblewrap", "landlock"), "plain"),
    ],
)
def test_auto_takes_the_best_there_is_and_says_why_not_better(lacks: tuple[str, ...], kind: str) -> None:
    chosen = decide("auto", lacking(*lacks))
    assert chosen.kind == kind
    assert bool(chosen.notes) == bool(lacks)
    assert all(f"no {each} here" in "".join(chosen.notes) for each in lacks)
    assert ("NOT SANDBOXED" in "".join(chosen.notes)) == (kind == "plain")


@pytest.mark.parametrize("asked", ["strict", "namespaces"])
def test_strict_refuses_less(asked: str) -> None:
    assert decide(asked, FINE).kind == "namespaces"
    with pytest.raises(IsolationError, match="no namespaces here"):
        decide(asked, lacking("namespaces"))


def test_a_named_kind_is_taken_or_refused() -> None:
    assert decide("landlock", FINE).kind == "landlock"
    with pytest.raises(IsolationError, match="no bubblewrap here"):
        decide("bubblewrap", lacking("bubblewrap"))


async def test_own_code_and_plain_need_no_look_at_the_machine(tmp_path: Path) -> None:
    own = HostConfig(state_dir=tmp_path)
    assert own.profile is Profile.OWN
    assert (await isolation.choose(own, "/nowhere")).kind == "own"
    plain = await isolation.choose(HostConfig(state_dir=tmp_path, isolation="plain"), "/nowhere")
    assert plain.kind == "plain"
    assert "NOT SANDBOXED" in "".join(plain.notes)


async def test_a_probe_that_fails_is_a_reason(tmp_path: Path) -> None:
    found = await isolation.survey(HostConfig(state_dir=tmp_path), "/bin/false")
    assert "trying it failed" in found.reasons["namespaces"]


# ---- control groups


def machine(folder: Path, *lines: tuple[str, str, str, str]) -> Path:
    """A /proc/self with these hierarchies: (controllers, own path, mount's type, mount's options)."""
    proc = folder / "proc"
    proc.mkdir()
    own, mounts = [], []
    for number, (controllers, path, kind, options) in enumerate(lines):
        place = folder / f"mount{number}"
        (place / path.lstrip("/")).mkdir(parents=True)
        own.append(f"{number}:{controllers}:{path}")
        mounts.append(f"1 1 0:1 / {place} rw - {kind} {kind} {options}")
    (proc / "cgroup").write_text("\n".join(own))
    (proc / "mountinfo").write_text("\n".join(mounts))
    return proc


def test_version_1(tmp_path: Path) -> None:
    proc = machine(
        tmp_path, ("memory", "/a/b", "cgroup", "rw,memory"), ("cpu,cpuacct", "/", "cgroup", "rw,cpu,cpuacct")
    )
    groups = Groups(proc)
    assert groups.controllers == ["memory", "cpu"]
    assert set(groups.missing) == {"pids"}
    group = groups.make(Limits(memory_bytes=64 * MIB, cpus=1.5, processes=9))
    assert group is not None
    (memory,) = (tmp_path / "mount0" / "a" / "b" / f"perdure-{os.getpid()}").iterdir()
    assert (memory / "memory.limit_in_bytes").read_text() == str(64 * MIB)
    assert (tmp_path / "mount1" / f"perdure-{os.getpid()}" / memory.name / "cpu.cfs_quota_us").read_text() == "150000"
    assert group.reached(-9) is None
    (memory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    (memory / "memory.max_usage_in_bytes").write_text(str(64 * MIB - 200 * 1024))
    reached = group.reached(-9)
    assert reached is not None
    assert (reached.code, reached.reason) == ("P0603", "memory: limit 64 MiB, used 63.8 MiB")
    assert group.reached(1) is None, "it ended by itself, though something in it was killed"


def test_version_2(tmp_path: Path) -> None:
    proc = machine(tmp_path, ("", "/unit", "cgroup2", "rw"))
    (tmp_path / "mount0" / "cgroup.controllers").write_text("cpu io memory pids\n")
    groups = Groups(proc)
    assert groups.controllers == ["memory", "pids", "cpu"]
    unit = tmp_path / "mount0" / "unit"
    assert (unit / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    group = groups.make(Limits(memory_bytes=MIB, cpus=0.5, processes=9))
    assert group is not None
    (inside,) = (each for each in (unit / f"perdure-{os.getpid()}").iterdir() if each.is_dir())
    written = {path.name: path.read_text() for path in inside.iterdir()}
    assert written == {
        "memory.max": str(MIB),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "9",
        "cpu.max": "50000 100000",
    }
    (inside / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    assert group.killed_for_memory()


def test_what_may_not_be_made_is_missing(tmp_path: Path) -> None:
    proc = machine(tmp_path, ("memory", "/", "cgroup", "rw,memory"))
    (tmp_path / "mount0" / f"perdure-{os.getpid()}").write_text("in the way")
    groups = Groups(proc)
    assert groups.controllers == []
    assert "mount0" in groups.missing["memory"]
    assert groups.make(Limits(memory_bytes=1)) is None


def test_a_machine_without_any(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    assert set(groups.missing) == {"memory", "pids", "cpu"}


def test_dead_hosts_groups_are_removed(tmp_path: Path) -> None:
    proc = machine(tmp_path, ("memory", "/", "cgroup", "rw,memory"))
    dead = tmp_path / "mount0" / "perdure-999999999" / "s1"
    dead.mkdir(parents=True)
    ours = Groups(proc)
    assert not dead.parent.exists()
    ours.close()
    assert list((tmp_path / "mount0").iterdir()) == []


def test_bytes_for_people() -> None:
    assert [mebibytes(count) for count in (512 * MIB, 536608768, 0)] == ["512 MiB", "511.8 MiB", "0 MiB"]


async def test_a_bubblewrap_that_does_not_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, alive = tmp_path / "bwrap", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {alive}\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(isolation, "tool", lambda: str(program))
    monkeypatch.setattr(isolation, "_PROBE_S", 1.0)
    async with asyncio.timeout(60):
        assert await isolation._try_bubblewrap() == "it took too long"
    assert not alive.exists() or not Path("/proc", alive.read_text().strip() or "none").exists()
