"""The first process of a session's process namespace: another program, which reaps orphans by ignoring their ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from perdure_runner.child.sandbox import nest

_IGNORED = {signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1}
_LOOK = """
import json, os, signal, sys, time
from perdure_runner.child.sandbox import nest
pid = getattr(nest, sys.argv[1])()
try:
    status = {}
    while status.get("Name") != "sleep" or status["State"][0] != "S":
        time.sleep(0.002)  # it has that name before its libraries are loaded, from files
        status = {key: value.strip() for key, value in (line.split(":", 1) for line in open(f"/proc/{pid}/status"))}
    print(json.dumps([int(status["SigIgn"], 16), os.listdir(f"/proc/{pid}/fd"), open(f"/proc/{pid}/environ").read()]))
finally:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("way", [nest._spawn_init, nest._fork_init])
def test_it_ignores_what_may_come_and_holds_nothing(way: object) -> None:
    if way is nest._spawn_init and not nest._env_ignores():
        pytest.skip("no env that starts programs with signals ignored")
    name = getattr(way, "__name__", "")
    looked = subprocess.run([sys.executable, "-c", _LOOK, name], capture_output=True, text=True, check=True, timeout=60)
    ignored, descriptors, environment = json.loads(looked.stdout)
    assert {number for number in _IGNORED if ignored >> (number - 1) & 1} == _IGNORED
    assert (descriptors, environment) == ([], "")


@pytest.mark.parametrize("program", ["/bin/false", "/there/is/none"])
def test_a_machine_without_such_a_program_is_recognised(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nest, "_ENV", program)
    assert not nest._env_ignores()
