"""What a host makes of the files of a build: programs stay programs, links stay links, wherever they lead."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from host_support import FakeCoordinator, running
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.docker.cell import _link
from perdure_runner.host.trees import read_only

LINKS = {"here": ".", "sub/up": "../sub", "nowhere": "missing", "one": "two", "two": "one", "again": "main.py"}
MAIN = """
import os, subprocess

def main(event):
    return [subprocess.run(["./tool"], capture_output=True, text=True).stdout, sorted(os.listdir())]
"""


@pytest.fixture(name="tree")
def tree_fixture(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "main.py").write_text(MAIN)
    (root / "tool").write_text("#!/bin/sh\necho it ran\n")
    (root / "tool").chmod(0o755)
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
    return root


def test_all_that_may_be_written_is_read_only_and_nothing_else_changes(tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    elsewhere.chmod(0o640)
    (tree / "out").symlink_to(elsewhere)
    read_only(tree)
    modes = {name: os.lstat(tree / name).st_mode & 0o777 for name in ("main.py", "tool", "sub")}
    assert modes == {"main.py": 0o444, "tool": 0o555, "sub": 0o555}
    assert elsewhere.stat().st_mode & 0o777 == 0o640
    assert {name: os.readlink(tree / name) for name in LINKS} == LINKS


def test_the_folder_of_a_container_has_the_links_too(tree: Path, tmp_path: Path) -> None:
    _link(tree, tmp_path / "cell")
    assert {name: os.readlink(tmp_path / "cell" / name) for name in LINKS} == LINKS
    assert (tmp_path / "cell" / "main.py").samefile(tree / "main.py")


async def test_a_session_runs_a_program_of_its_build_which_has_links_to_nowhere(tree: Path, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path in tree.iterdir():
            tar.add(path, path.name)
    build = packed.getvalue()
    digest = hashlib.sha256(build).hexdigest()
    ours = {"main": "perdure_runner.child.process:main", "packages": None}
    async with running(tmp_path / "host", FakeCoordinator({digest: build}), **ours) as (_host, coordinator):
        coordinator.start("main.py:main", build=digest, durable=False)
        done = await coordinator.next("done")
    assert done.state == runner.DONE_STATE_COMPLETED, done
    assert json.loads(done.result.data) == [
        "it ran\n",
        sorted([*(n for n in LINKS if "/" not in n), "main.py", "sub", "tool"]),
    ]
