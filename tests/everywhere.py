"""`make test-all`: the fast part of the suite, and transparency, on every other CPython from 3.11 on that is here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
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
        for part in (["-m", "not slow"], ["tests/transparency"]):
            if code := subprocess.run([*pytest, *part], cwd=ROOT, env=environ, check=False).returncode:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
