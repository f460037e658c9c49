"""Runner images: a base, our own code on top of it, and on top of that a project's requirements.

An image's tag is a hash of everything in it, so whoever needs the same gets the same, and nothing is built twice.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure_runner.host import launch
from perdure_runner.host.config import HostConfig
from perdure_runner.host.docker.base import Base, bases
from perdure_runner.host.docker.engine import Engine, NoEngineError, NotThereError
from perdure_runner.host.docker.layers import LABEL, Item, add_layer, archive
from perdure_runner.host.pythons import Interpreter, InterpreterNotFoundError

REPOSITORY = "perdure-runner"
OURS = "opt/perdure"
"""Where images carry our packages, and a project's environment; without the leading slash."""
ENVIRONMENT = f"/{OURS}/environment"
PROGRAM = f"/{OURS}/perdure_runner/__main__.py"

_FORMAT = 1  # of these layers; a change makes all images anew
_RUNNER = Path(__file__).resolve().parent.parent.parent
_HOST_HALF = "host"


@dataclass(frozen=True, slots=True)
class Described:
    """An image of ours, for people. `created`: as the engine says it; `stale`: no host of this version would use it."""

    tag: str
    kind: str  # "base", "runner"
    python: str
    lock: str  # digest of the requirements' lock; "" for none
    bytes: int
    created: str
    stale: bool


class Images:
    """The images of one engine, for a host of this version."""

    def __init__(self, engine: Engine, config: HostConfig, marks: Mapping[str, str]) -> None:
        """`marks`: labels of the containers that make images."""
        self._engine = engine
        self._marks = marks
        self._carried = _carried(config)
        self._content = archive(item for item, _ in self._carried)
        self._digest = hashlib.sha256(self._content).hexdigest()
        self._bases: list[Base] = []
        self._known: dict[str, str] = {}  # tag -> image id
        self._making: dict[str, asyncio.Task[str]] = {}

    @property
    def bases(self) -> list[Base]:
        """The base images that there were at the last `refresh`."""
        return self._bases

    async def refresh(self) -> None:
        """Look which base images there are.

        Raises:
            NoEngineError: no engine, or none in it.
        """
        self._bases = await self._engine.call(bases)
        if not self._bases:
            raise NoEngineError("the Docker Engine has no base image for runners", "perdure images build-base")

    def base(self, name: str, usual: tuple[int, int]) -> Base:
        """Find the base image for a project's "", "3.12" or "3.12.1". "": of version `usual`, else the newest.

        Raises:
            InterpreterNotFoundError: there is none.
        """
        if not name:
            return next((base for base in self._bases if base.python.version[:2] == usual), self._bases[-1])
        for base in self._bases:
            version = list(map(str, base.python.version))
            if version[: name.count(".") + 1] == name.split("."):
                return base
        have = ", ".join(base.tag for base in self._bases)
        raise InterpreterNotFoundError(f"no base image with Python {name} in the Docker Engine; it has {have}")

    def at_hand(self, base: Base, lock: str) -> str | None:
        """Give the id of the image with what `lock` names, if it has been made or found."""
        return self._known.get(self.tag(base, lock))

    async def get(self, python: Interpreter, lock: str, environment: Path | None) -> str:
        """Give an image's id, making it if need be, once, however many ask. `environment` holds what `lock` names.

        Raises:
            EngineError: the engine refuses. OSError: the environment cannot be read.
        """
        base = next(base for base in self._bases if base.python == python)
        tag = self.tag(base, lock)
        known = self._known.get(tag)
        if known is None:
            known = self._known[tag] = await self._once(tag, lambda: self._make(base, tag, lock, environment))
        return known

    def close(self) -> None:
        """Make no more."""
        for task in self._making.values():
            task.cancel()

    def forget(self, image: str) -> None:
        """Somebody has removed an image that was known."""
        self._known = {tag: known for tag, known in self._known.items() if known != image}

    def tag(self, base: Base, lock: str) -> str:
        """Name an image by all that is in it."""
        parts = [_FORMAT, base.image, base.python.path, self._digest, lock]
        return f"{REPOSITORY}:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"

    def command(self, python: Interpreter, *arguments: str) -> list[str]:
        """Give the command line for one mode of our program in an image."""
        packages = [f"--package={name}=/{item.name}" for item, name in self._carried if name]
        return [python.path, "-P", PROGRAM, *packages, *arguments]

    async def _once(self, tag: str, make: Callable[[], Coroutine[Any, Any, str]]) -> str:
        task = self._making.get(tag)
        if task is None:
            task = self._making[tag] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._making.pop(tag))
        return await asyncio.shield(task)

    async def _make(self, base: Base, tag: str, lock: str, environment: Path | None) -> str:
        try:
            return str((await self._engine.call(lambda client: client.images.get(tag))).id)
        except NotThereError:
            pass
        if lock and environment is not None:
            parent = await self.get(base.python, "", None)
            content = await asyncio.to_thread(archive, [Item(ENVIRONMENT.lstrip("/"), environment)])
            folder = ENVIRONMENT
        else:
            parent, content, folder = base.image, self._content, f"/{OURS}"
        described = json.dumps([base.python.path, base.python.version])
        labels = {
            LABEL: "runner", "perdure.base": base.image, "perdure.sdk": self._digest, "perdure.lock": lock,
            "perdure.python": described, "perdure.made": str(int(time.time())),
        }  # fmt: skip
        compiling = [base.python.path, "-m", "compileall", "-q", "-j0", folder]
        image, _ = await self._engine.call(
            lambda client: add_layer(
                client, parent, tag, content=content, command=compiling, labels=labels, marks=self._marks
            )
        )
        return image

    def describe(self, client: Any) -> list[Described]:
        """Give all images of ours, bases first. Blocks."""
        current = {base.image for base in bases(client)}
        found = []
        for image in client.images.list(filters={"label": LABEL}):
            labels = image.labels
            python = ".".join(map(str, json.loads(labels.get("perdure.python", '["", []]'))[1]))
            stale = labels[LABEL] == "runner" and (
                labels.get("perdure.base") not in current or labels.get("perdure.sdk") != self._digest
            )
            size, created, lock = image.attrs["Size"], image.attrs["Created"], labels.get("perdure.lock", "")
            found += [Described(tag, labels[LABEL], python, lock, size, created, stale) for tag in image.tags]
        return sorted(found, key=lambda each: (each.kind, each.created))

    def prune(self, client: Any, *, everything: bool) -> list[str]:
        """Remove runner images that no host of this version would use, or all; give their tags. Blocks.

        One that a container still uses is left.
        """
        ours = [image for image in self.describe(client) if image.kind == "runner"]
        wanted = [image.tag for image in ours if everything or image.stale]
        return [tag for tag in reversed(wanted) if _removed(client, tag)]  # requirements stand on images without


def _removed(client: Any, tag: str) -> bool:
    from docker.errors import APIError  # type: ignore[import-untyped]

    try:
        client.images.remove(tag)
    except APIError:
        return False  # in use, or gone by another hand
    return True


def _carried(config: HostConfig) -> list[tuple[Item, str]]:
    """What of ours an image carries, with the name to import it by ("" for the parts of our own program)."""
    ours = [
        (Item(f"{OURS}/perdure_runner/{path.name}", path), "")
        for path in sorted(_RUNNER.iterdir())
        if path.name not in {_HOST_HALF, "__pycache__"}
    ]
    others = [
        (Item(f"{OURS}/{name}{'.py' if place.endswith('.py') else ''}", Path(place)), name)
        for name, place in sorted(launch.packages(config).items())
    ]
    return ours + others
