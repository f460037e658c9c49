"""The attacks under pytest: the most telling ones always, all of them on every backend among the slow tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from attacks.backends import BACKENDS, MUST_HOLD, Missing, having
from attacks.running import Verdict, complaints, run_all
from attacks.suite import ATTACKS, BY_NAME, Attack
from attacks.world import HERE, opened_world

SAMPLE = (
    *("fork_bomb", "memory_bomb", "disk_bomb", "inode_bomb", "double_fork", "ignored_signals", "other_code"),
    *("files_of_the_home", "ways_around", "memory_by_file", "signals", "abstract_socket", "descriptors_by_file"),
    *("root_again", "own_namespaces", "kernel_settings", "local_services", "poisoned_build", "replayed_number"),
    *("other_session", "other_store", "other_conversations", "forged_asks"),
)


@pytest.fixture(name="engines")
def engines_fixture(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Where the tests of containers keep their engine: one for all, and a path short enough for its sockets."""
    common = tmp_path_factory.getbasetemp()
    return (common if worker_id == "master" else common.parent) / "docker"


def assert_holds(backend: str, attacks: Iterable[Attack], folder: Path, engines: Path) -> None:
    """What must be contained is, and nobody else was disturbed."""
    try:
        with having(backend, engines) as had, opened_world(folder, had) as world:
            findings = [*run_all(world, attacks)]
            assert [*complaints(backend, findings), *world.harm()] == []
            assert sum(finding.verdict is Verdict.CONTAINED for finding in findings) > 10
    except Missing as reason:
        pytest.skip(f"no {backend}: {reason}")


def test_every_program_is_in_the_table() -> None:
    programs = {path.stem for path in (HERE / "programs").glob("*.py")} - {"probing", "spoiled"}
    assert programs == {attack.entry.partition(".")[0] for attack in ATTACKS}
    assert len(BY_NAME) == len(ATTACKS)


def test_sample(tmp_path: Path, engines: Path) -> None:
    assert_holds("namespaces", [BY_NAME[name] for name in SAMPLE], tmp_path, engines)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend in {"plain", *MUST_HOLD}])
def test_all(tmp_path: Path, engines: Path, backend: str) -> None:
    assert_holds(backend, ATTACKS, tmp_path, engines)
