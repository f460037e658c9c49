"""`python build_sites.py`: compiles what of `perdure_runner.child` is in C for the running interpreter, if it must.

That is `patching/_sites`, and `_sharing`. The standard library only, and the C compiler and flags that the interpreter
itself was built with. Part of the package's build (`hatch_build.py`); without it, or where it fails, call sites are
pure Python, and sessions give no memory back.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

CHILD: Final = Path(__file__).resolve().parent / "runner" / "perdure_runner" / "child"
SOURCES: Final = CHILD / "patching"
MODULES: Final = ("patching/_sites", "_sharing")
"""Of each, what its sources' names begin with."""
PORTED: Final = ((3, 11), (3, 12), (3, 13))
"""Versions of CPython with a `_sites_py3NN.h`."""
_FLAGS: Final = ("-std=c11", "-O3", "-fno-strict-aliasing", "-fvisibility=hidden", "-Wall", "-Wextra")
_QUIET: Final = ("-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-cast-function-type")
"""What CPython's own headers and method tables would be warned about."""


def unsupported() -> str:
    """Why there can be none for this interpreter; empty if there can."""
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} is not CPython"
    if sys.version_info[:2] not in PORTED:
        return f"the guards have not been ported to CPython {sys.version_info[0]}.{sys.version_info[1]}"
    return "this CPython has no global interpreter lock" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""


def is_current() -> bool:
    """Are they beside their sources, and newer than these?"""
    return all((CHILD / _file(name)).exists() and _is_newer(CHILD / _file(name), name) for name in MODULES)


def _is_newer(module: Path, name: str) -> bool:
    return all(module.stat().st_mtime > path.stat().st_mtime for path in CHILD.glob(f"{name}*.[ch]"))


def _file(name: str) -> str:
    return f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"


def build(folder: Path, name: str) -> Path:
    """Compile one of `MODULES` into `folder` as into `CHILD`; returns the path of the module.

    Raises RuntimeError with what was missing or what the compiler said.
    """
    if reason := unsupported():
        raise RuntimeError(reason)
    module = folder / _file(name)
    module.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=module.parent) as work:
        made = Path(work) / module.name
        command = [
            *shlex.split(os.environ.get("LDSHARED") or sysconfig.get_config_var("LDSHARED") or ""),
            *shlex.split(sysconfig.get_config_var("CFLAGS") or ""),
            *shlex.split(sysconfig.get_config_var("CCSHARED") or ""),
            *_FLAGS,
            *_QUIET,
            f"-I{sysconfig.get_path('include')}",
            *map(str, sorted(CHILD.glob(f"{name}*.c"))),
            "-o",
            str(made),
        ]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise RuntimeError(f"no C compiler: {error}") from None
        if ran.returncode:
            raise RuntimeError(ran.stderr.strip() or f"{command[0]} ended with status {ran.returncode}")
        made.replace(module)  # at once: other processes may be importing the old one
    return module


if __name__ == "__main__":
    try:
        print(*(["up to date"] if is_current() else [build(CHILD, name) for name in MODULES]))
    except RuntimeError as error:
        sys.exit(f"not built: {error}")
