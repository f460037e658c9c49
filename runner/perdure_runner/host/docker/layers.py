"""Layers of images, made without a builder: a container takes an archive, runs one command, and is committed."""

import io
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure_runner.host.docker import seccomp
from perdure_runner.host.docker.engine import EngineError

LABEL = "perdure"
"""On everything of ours in an engine; its value says what it is: "base", "runner", "session"."""
_MOST_SAID = 4000  # characters of a failed command's output


@dataclass(frozen=True, slots=True)
class Item:
    """A file or a folder that goes into a layer; `name` is where, without the leading slash."""

    name: str
    source: Path


def archive(items: Iterable[Item], omit: frozenset[str] = frozenset({"__pycache__"})) -> bytes:
    """Pack items, the same bytes for the same content: readable to all, root's, of no time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for item in items:
            tar.add(item.source, item.name, filter=lambda member: _plain(member, omit))
    return packed.getvalue()


def _plain(member: tarfile.TarInfo, omit: frozenset[str]) -> tarfile.TarInfo | None:
    if os.path.basename(member.name) in omit:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def add_layer(
    client: Any,
    parent: str,
    tag: str,
    *,
    content: bytes | None = None,
    command: Sequence[str],
    labels: Mapping[str, str],
    marks: Mapping[str, str],
) -> tuple[str, str]:
    """Make image `tag` of image `parent`: with the content of an archive, and with what `command` did. Blocks.

    Gives the new image's id and what the command printed. `marks`: labels of the container, which is gone afterwards.

    Raises:
        EngineError: the engine refuses, or the command failed.
    """
    container = client.containers.create(
        parent,
        list(command),
        entrypoint=[],
        user="0:0",
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true", f"seccomp={seccomp.profile()}"],
        labels={LABEL: "building", **marks},
        environment={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"},
    )
    try:
        if content is not None:
            container.put_archive("/", content)
        container.start()
        status = container.wait()["StatusCode"]
        said = container.logs().decode("utf-8", "replace")
        if status:
            raise EngineError(f"{' '.join(command)[:80]} exited with {status} in {parent}: {said[-_MOST_SAID:]}")
        repository, _, version = tag.partition(":")
        kept = {**dict.fromkeys(marks, ""), **labels}  # an image has the labels of its container, unless it has its own
        image = container.commit(repository, version, conf={"Labels": kept, "Cmd": [], "Entrypoint": []})
        return str(image.id), said
    finally:
        container.remove(force=True)
