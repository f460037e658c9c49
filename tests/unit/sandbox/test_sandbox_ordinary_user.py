"""The sandbox without root: as another user where the tests themselves run as root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import perdure
import perdure_proto
import perdure_runner
import pytest

SOMEBODY = 1001
HERE = Path(__file__).parent
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from inside import inside

LOOK = '''
    def held(folder):  # what the first process has open: only until it has closed it, a moment after its birth
        names = attempt(os.listdir, folder)
        return [names] if names == "EACCES" else [attempt(os.readlink, folder + "/" + name) for name in names]

    return {
        "user": os.getuid(),
        "first": [attempt(os.readlink, "/proc/1/root"), reading("/proc/1/environ"), *held("/proc/1/fd")],
        "alive": [attempt(os.kill, 1, signal.SIGKILL), os.path.exists("/proc/1")],
        "etc": writing("/etc/passwd"),
        "own": writing("x.txt"),
        "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "beside": os.listdir(%r),
    }
'''

async def main(folder):
    async with inside(Path(folder) / "state", "strict") as here:
        print(json.dumps(await here.see(LOOK % folder + "\\n")))

asyncio.run(main(sys.argv[1]))
"""


def _interpreter() -> str:
    """One that the other user may run, of a version that has our packages."""
    return sys.executable if os.geteuid() else "/usr/bin/python3"


def test_everything_holds_without_root(namespaces: str) -> None:
    home = Path("/var/tmp") / f"perdure-test-{os.getpid()}"  # the folders of pytest are for its own user only
    home.mkdir()
    (home / "secret").touch()
    packages = [Path(next(iter(module.__path__))).parent for module in (perdure, perdure_runner, perdure_proto)]
    paths = [HERE, HERE.parent, *packages, *(path for path in sys.path if path.endswith("site-packages"))]
    user = {} if os.geteuid() else {"user": SOMEBODY, "group": SOMEBODY, "extra_groups": []}
    if not os.geteuid():
        os.chown(home, SOMEBODY, SOMEBODY)
    try:
        ran = subprocess.run(
            [_interpreter(), "-c", PROGRAM, str(home)],
            env={"PYTHONPATH": ":".join(map(str, paths)), "HOME": str(home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=240,
            cwd="/",
            **user,  # type: ignore[call-overload]
        )
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(home)], check=True)
        subprocess.run(["rm", "-rf", str(home)], check=True)
    if "No module named" in ran.stderr or "ImportError" in ran.stderr:
        pytest.skip("no interpreter here that another user could run with our packages")
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert seen == {
        "user": 1000,
        "first": ["EACCES", "EACCES", *seen["first"][2:]],
        "alive": [None, True],
        "etc": "EROFS",
        "own": 1,
        "mount": "EPERM",
        "beside": ["state"],
    }
    assert set(seen["first"][2:]) <= {"EACCES", "ENOENT"}
