"""Which interpreter a project means by "", "3.12" or a path."""

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 11)
_ASK = "import sys; v = sys.version_info; print(sys.implementation.cache_tag, v[0], v[1], v[2])"
_ANSWER = re.compile(rb"([\w-]+) (\d+) (\d+) (\d+)\s*")
_VERSION = re.compile(r"\d+(\.\d+){1,2}")
_ASK_S = 10.0


class InterpreterNotFoundError(Exception):
    """This machine has no such interpreter, or an unsuitable one. The message is for people."""

    code = "P0213"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An executable that has been asked what it is."""

    path: str
    version: tuple[int, int, int]
    cache_tag: str  # "cpython-311"
    foreign: bool = False  # in an image of a container: nothing on this machine is at its path


class Interpreters:
    """Finds interpreters and remembers what they answered. `default` is the one that an empty name means."""

    def __init__(self, default: str = sys.executable) -> None:
        self._default = default
        self._known: dict[str, Interpreter] = {}
        if default == sys.executable:
            tag = sys.implementation.cache_tag or "unknown"
            self._known[default] = Interpreter(default, sys.version_info[:3], tag)

    async def resolve(self, name: str) -> Interpreter:
        """Find the interpreter of this name.

        Raises:
            InterpreterNotFoundError: none suits.
        """
        tried = []
        for path in self._candidates(name):
            found = self._known.get(path) or await _ask(path)
            if found is not None:
                self._known[path] = found
                if found.version[:2] >= OLDEST and _suits(found, name):
                    return found
            tried.append(path)
        looked = f"; tried {', '.join(tried)}" if tried else ""
        raise InterpreterNotFoundError(f"no Python {name or self._default!r} here (3.11 or newer is needed){looked}")

    def means(self, name: str, python: Interpreter) -> bool:
        """Is the default interpreter, `python`, what a project means by this name? Nothing is started."""
        return not name or name == python.path or (bool(_VERSION.fullmatch(name)) and _suits(python, name))

    def versions(self) -> list[str]:
        """Give the minor versions that this machine seems to have, "3.11" first. Nothing is started."""
        found = {path.parent.parent.name.rpartition(".")[0] for path in _pyenv("3")}
        found |= {f"3.{minor}" for minor in range(OLDEST[1], 20) if _on_path(f"3.{minor}")}
        found |= {"{}.{}".format(*known.version) for known in self._known.values()}
        return sorted(found & {f"3.{minor}" for minor in range(OLDEST[1], 100)}, key=lambda text: int(text[2:]))

    def _candidates(self, name: str) -> Iterator[str]:
        if not name:
            yield self._default
        elif os.path.isabs(name):
            yield name
        elif _VERSION.fullmatch(name):
            yield self._default
            minor = ".".join(name.split(".")[:2])
            if on_path := _on_path(minor):
                yield on_path
            yield from map(str, _pyenv(name))


def _on_path(minor: str) -> str | None:
    """Give PATH's `python3.X`; pyenv's shims stand for interpreters that may not be there."""
    found = shutil.which(f"python{minor}")
    return None if found is None or f"{os.sep}shims{os.sep}" in found else found


def _pyenv(version: str) -> list[Path]:
    """Give pyenv's interpreters of a version, newest first; none where its folder cannot be read."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    try:
        found = [path for path in root.glob(f"{version}*/bin/python") if _suits_text(path.parent.parent.name, version)]
    except OSError:  # not for this user to read: as if it were not there
        return []
    return sorted(found, key=lambda path: [int(part) for part in path.parent.parent.name.split(".")], reverse=True)


def _suits(found: Interpreter, name: str) -> bool:
    return not _VERSION.fullmatch(name) or _suits_text(".".join(map(str, found.version)), name)


def _suits_text(version: str, wanted: str) -> bool:
    return bool(_VERSION.fullmatch(version)) and version.split(".")[: wanted.count(".") + 1] == wanted.split(".")


async def _ask(path: str) -> Interpreter | None:
    try:
        process = await asyncio.create_subprocess_exec(
            path, "-I", "-S", "-c", _ASK, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env={}
        )
    except OSError:
        return None
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _ASK_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    answer = _ANSWER.fullmatch(output)
    if answer is None:
        return None
    tag, *numbers = answer.groups()
    major, minor, micro = map(int, numbers)
    return Interpreter(path, (major, minor, micro), tag.decode())
