"""`make test-all`: on every other CPython from 3.11 on that is here, the tests that may come out differently there.

That is all that runs inside or beside a handler, every unit, and one suite of each door; the rest of the suite is about
the same commands, servers, containers and pages, and has run on the first interpreter.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
UNLIKE = ("unit", "cases", "compat", "fuzz", "golden", "matrix", "schedules", "sessions")
"""Folders: the hook, the codec, the recorder, programs recorded and killed, journals of earlier versions."""
DOORS = (
    *("e2e/test_cli_flow.py", "e2e/test_sandbox.py", "e2e/test_survey.py", "e2e/test_suspension.py"),
    *("e2e/test_answers.py", "triggers/test_webhooks.py", "triggers/test_http_api.py", "secrets/test_vars_cli.py"),
    *("doors/test_doors_conversation.py", "environments/test_projects.py", "pool/test_drain.py"),
)
OPTIONS = ("-n", os.environ.get("JOBS", "3"), "--dist", "worksteal", "-p", "no:cacheprovider")


def interpreters() -> dict[str, str]:
    """Version ("3.12") -> path, of what is on PATH and in pyenv's folder, without the running one."""
    found = {}
    for minor in range(11, 20):
        version = f"3.{minor}"
        in_pyenv = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python")
        places = [*in_pyenv, shutil.which(f"python{version}")]
        for place in filter(None, places):
            works = subprocess.run([place, "-c", "import venv, ensurepip"], capture_output=True, check=False)
            if minor != sys.version_info.minor and works.returncode == 0:
                found.setdefault(version, str(place))
    return found


def _tests(*paths: str) -> list[Path]:
    return [ROOT / "tests" / path for path in paths]


def main() -> int:
    others = interpreters()
    print(f"other interpreters: {', '.join(others) or 'none found'}", flush=True)
    for version, python in others.items():
        environment = ROOT / f".venv-{version}"
        uv = [ROOT / ".venv/bin/uv", "-q"]
        if not environment.exists():
            subprocess.run([*uv, "venv", "-p", python, environment], check=True)
        target = ["--python", environment / "bin/python"]
        subprocess.run(
            [*uv, "pip", "install", *target, "--reinstall-package", "perdure", "-e", ROOT, "--group", "dev"],
            check=True,
            cwd=ROOT,
        )
        print(f"\n== Python {version}", flush=True)
        environ = {**os.environ, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
        pytest = [environment / "bin/python", "-m", "pytest", *OPTIONS]
        for part in (["-m", "not slow", *_tests(*UNLIKE, *DOORS)], _tests("transparency")):
            if code := subprocess.run([*pytest, *part], cwd=ROOT, env=environ, check=False).returncode:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
