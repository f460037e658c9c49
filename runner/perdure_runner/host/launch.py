"""How a host starts programs of the child half: the command line and the clean environment."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from perdure_runner.host.config import HostConfig

_SWITCHES = ("PERDURE_PURE",)
"""Of the host's own environment: what chooses between equal ways to run. Sessions do not see it."""
_COMPILED_SITES = Path(__file__).resolve().parent.parent / "child" / "patching"
"""The folder of the compiled call sites; runners that do not find them there use their pure twin."""
_PROGRAM = str(Path(__file__).resolve().parent.parent / "__main__.py")


def packages(config: HostConfig) -> Mapping[str, str]:
    """Give names and places of what runners import of ours."""
    if config.packages is not None:
        return config.packages
    found = {"perdure": _place("perdure"), "_perdure_cloudpickle": _place("cloudpickle")}
    if found["_perdure_cloudpickle"]:
        found["_perdure_cloudpickle"] += "/cloudpickle.py"
    return {name: place for name, place in found.items() if place}


def command(config: HostConfig, python: str, *arguments: str) -> list[str]:
    """Give the command line for one mode of `perdure_runner/__main__.py`."""
    carried = [f"--package={name}={place}" for name, place in packages(config).items()]
    return [python, "-P", _PROGRAM, *carried, *arguments]


def environment(config: HostConfig, hash_seed: int) -> dict[str, str]:
    """Give the whole environment of such a program: nothing of the host's own."""
    return {
        "PATH": config.path,
        "LANG": "C.UTF-8",
        "HOME": str(home(config)),
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        **{name: os.environ[name] for name in _SWITCHES if name in os.environ},
    }


def pure_notice(cache_tag: str) -> str:
    """Give a line for people if call sites of such an interpreter ("cpython-311") are slow ones; else nothing.

    Only the file's name is looked at: what it holds may be for another interpreter than the host's.
    """
    if os.environ.get("PERDURE_PURE", "0") not in {"", "0"}:
        reason = "PERDURE_PURE is set"
    elif any(_COMPILED_SITES.glob(f"_sites.{cache_tag}*.so")):
        return ""
    else:
        reason = f"this installation has no compiled ones for {cache_tag}"
    return f"perdure: call sites run in pure Python (about twice slower): {reason}"


def home(config: HostConfig) -> Path:
    """Give the directory that runners see as their home."""
    return config.state_dir / "home"


def _place(name: str) -> str:
    spec = importlib.util.find_spec(name)
    return next(iter(spec.submodule_search_locations or ()), "") if spec else ""
