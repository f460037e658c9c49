"""What a zygote imports of ours is compiled once, also where the installer compiled nothing; runners write nothing."""

import asyncio
import os
import shutil
import socket
from pathlib import Path

import perdure_runner
import pytest
from perdure_runner.host import launch
from perdure_runner.host.config import HostConfig
from perdure_runner.host.pythons import Interpreters
from perdure_runner.host.zygotes import Fork, Zygotes

RUNNER = """
import sys

def main(sock):
    sock.send(str(sys.dont_write_bytecode).encode())
    return 0
"""


async def test_zygotes_compile_what_is_ours_and_runners_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Path(perdure_runner.__file__).parent
    copied = shutil.copytree(ours, tmp_path / "perdure_runner", ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "told.py").write_text(RUNNER)
    monkeypatch.setattr(launch, "_PROGRAM", str(copied / "__main__.py"))
    config = HostConfig(state_dir=tmp_path / "host", main="perdure_runner.told:main")
    launch.home(config).mkdir(parents=True)
    zygotes = Zygotes(config)
    zygote = await zygotes.get(await Interpreters().resolve(""), 0)
    here, there = socket.socketpair()
    ended = asyncio.Event()
    zygote.fork(Fork(there.detach(), os.open(os.devnull, os.O_WRONLY), {"network": "all"}), lambda _: ended.set())
    await ended.wait()
    assert here.recv(10) == b"True"
    here.close()
    zygotes.kill()
    assert list(copied.glob("__pycache__/told.*.pyc"))
    assert list(copied.glob("child/__pycache__/zygote.*.pyc"))
