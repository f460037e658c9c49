"""`make test-all`: on every other CPython that perdure is made for and that is here, the tests that may come out
differently there.

On each of them all that runs inside a handler's process or makes one (hook, sites, codec, recorder, replay, lanes,
handles, host): programs plainly, recorded, suspended and killed now and then, the journals of earlier versions, the
constructs, generated programs, races, a sample of the standard library's own tests; and the units of both halves, for
the server, too, leans on parts of the standard library that change (asyncio, ast, ipaddress, sqlite3, tarfile).

On the newest one the server's doors as well, each by one suite: what works on the oldest and on the newest works
between them, where no call sites are involved, and the units have run there.

Not again, since the interpreter has no part in it: what commands and pages say, what a kernel or an engine does (most
units of the sandbox; `e2e/test_sandbox.py` runs a session in one), gateways, integrations, projects of AutoKitteh;
and what is `slow`, which asks the same at more places.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
INSIDE = (
    *("transparency", "unit", "cases", "fuzz", "golden", "matrix", "schedules", "sessions"),
    *("e2e/test_sandbox.py", "e2e/test_survey.py", "environments/test_projects.py"),
)
DOORS = (
    *("e2e/test_suspension.py", "triggers/test_webhooks.py", "triggers/test_http_api.py", "secrets/test_vars_cli.py"),
    *("doors/test_doors_conversation.py", "pool/test_drain.py"),
    *(
        f"e2e/test_cli_flow.py::test_{name}"  # signals, pipes, and processes that end each other
        for name in (
            *("ctrl_c_leaves_the_session_resumable", "a_reader_that_leaves", "fork_and_replay"),
            *("logs_and_watch_follow_until_the_end", "the_server_ends_with_its_host_and_runners"),
        )
    ),
)
MEMORY = {"test_sandbox_sharing", "test_sandbox_settled"}
"""Of the units of the sandbox, those that look at what this interpreter's processes have in memory."""
MINORS = (11, 12, 13)
"""Versions that pyproject.toml names, 3.11 and so on."""
WHOLE = """
import bz2, ctypes, lzma, sqlite3, ssl, sysconfig, venv, ensurepip, zlib
assert not sysconfig.get_config_var("Py_GIL_DISABLED"), "it has no global interpreter lock"
"""
"""What a CPython must have: some are built without a library that was not there, or are packaged in parts."""
RERUNS = int(os.environ.get("TRIES", "1")) - 1
OPTIONS = ("-n", os.environ.get("JOBS", "3"), "--dist", "worksteal", "--reruns", str(RERUNS), "-p", "no:cacheprovider")


def interpreters() -> dict[str, str]:
    """Version ("3.12") -> path, of what is on PATH and in pyenv's folder, without the running one."""
    found = {}
    for minor in MINORS:
        version = f"3.{minor}"
        in_pyenv = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
        places = [str(place) for place in (*in_pyenv, shutil.which(f"python{version}")) if place]
        if minor != sys.version_info.minor and (whole := next(filter(_is_whole, places), None)):
            found[version] = whole
    return found


def _is_whole(python: str) -> bool:
    """One that is not is told of, and left alone: a shim of pyenv may stand for nothing."""
    try:
        tried = subprocess.run([python, "-c", WHOLE], capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    else:
        if tried.returncode == 0:
            return True
        said = tried.stderr.strip().rpartition("\n")[2] or f"it ended with status {tried.returncode}"
    print(f"{python} is not used: {said}", flush=True)
    return False


def selection(*, doors: bool) -> list[str]:
    """Arguments of pytest, in the repository."""
    paths = [f"tests/{path}" for path in (*INSIDE, *(DOORS if doors else ()))]
    kernel = [path for path in (ROOT / "tests/unit/sandbox").glob("test_*.py") if path.stem not in MEMORY]
    return ["-m", "not slow or everywhere", *(f"--ignore={path}" for path in kernel), *paths]


def main() -> int:
    others = interpreters()
    print(f"other interpreters: {', '.join(others) or 'none found'}", flush=True)
    newest = next(reversed(others), "")
    for version, python in others.items():
        environment = ROOT / f".venv-{version}"
        uv = [ROOT / ".venv/bin/uv", "-q"]
        if not (environment / "bin/python").exists():  # or what it was made with is gone
            subprocess.run([*uv, "venv", "--clear", "-p", python, environment], check=True)
        target = ["--python", environment / "bin/python"]
        subprocess.run(
            [*uv, "pip", "install", *target, "--reinstall-package", "perdure", "-e", ROOT, "--group", "dev"],
            check=True,
            cwd=ROOT,
        )
        print(f"\n== Python {version}", flush=True)
        environ = {**os.environ, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
        pytest = [environment / "bin/python", "-m", "pytest", *OPTIONS, *selection(doors=version == newest)]
        if code := subprocess.run(pytest, cwd=ROOT, env=environ, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
