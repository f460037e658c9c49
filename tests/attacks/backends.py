"""What holds sessions here, and what this machine has of it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from perdure_runner.host import isolation
from perdure_runner.host.config import HostConfig

PLAIN, DOCKER = "plain", "docker"
BACKENDS = (PLAIN, "namespaces", "bubblewrap", "landlock", DOCKER)
MUST_HOLD = ("namespaces", "bubblewrap", DOCKER)
"""Where every attack must be contained. Landlock is what remains where none of these can be had."""


class Missing(Exception):
    """Why this machine does not have a backend."""


@dataclass(frozen=True)
class Backend:
    """`arguments` of `perdure serve`, and `variables` of its environment. `known`: attacks that it does not hold
    on this machine, and why that is borne."""

    name: str
    arguments: tuple[str, ...]
    variables: dict[str, str]
    known: Mapping[str, str]


@contextlib.contextmanager
def having(name: str, folder: Path) -> Iterator[Backend]:
    """A backend, for the length of the block; `folder` is for an engine's files.

    Raises:
        Missing: this machine does not have it.
    """
    if name == DOCKER:
        with _engine(folder) as url:
            yield Backend(name, ("--runner", "docker"), {"PERDURE_DOCKER_URL": url} if url else {}, {})
        return
    survey = asyncio.run(_survey(name))
    if why := survey.reasons[name]:
        raise Missing(why)
    unlimited = survey.shown.unlimited if name == "bubblewrap" else ""
    yield Backend(name, ("--isolation", name), {}, {"inode_bomb": unlimited} if unlimited else {})


async def _survey(name: str) -> isolation.Survey:
    with tempfile.TemporaryDirectory() as folder:
        return await isolation.survey(HostConfig(state_dir=Path(folder), isolation=name), sys.executable)


@contextlib.contextmanager
def _engine(folder: Path) -> Iterator[str]:
    if importlib.util.find_spec("docker.errors") is None:
        raise Missing("the docker SDK is not installed")
    sys.path.append(str(Path(__file__).parent.parent / "docker"))  # that name is the SDK's
    from docker_support import NoEngine, shared_engine

    try:
        with shared_engine(folder) as url:
            yield url
    except NoEngine as reason:
        raise Missing(str(reason)) from None
