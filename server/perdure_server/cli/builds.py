"""From a TARGET or a folder on the command line to a build at the coordinator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli.connect import Control

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of user code, and what of it a command means. `entry_point` is empty where none was named."""

    folder: Path
    project: str
    entry_point: str = ""
    tarball: bytes = b""


def resolve(target: str, project: str | None, variables: Mapping[str, str]) -> Source:
    """What TARGET (`DIR`, `FILE.py:HANDLER`, `DIR:FILE.py:HANDLER`) means."""
    raise NotImplementedError


def folder(path: Path, project: str | None) -> Source:
    """A folder."""
    raise NotImplementedError


async def send(remote: Control, source: Source, *, build_only: bool) -> control.DeployResponse:
    """Build it at the coordinator, and make it live unless `build_only`."""

    async def parts() -> AsyncIterator[control.DeployRequest]:
        yield control.DeployRequest(header=control.DeployHeader(project=source.project, build_only=build_only))
        for start in range(0, len(source.tarball), CHUNK_BYTES):
            yield control.DeployRequest(chunk=source.tarball[start : start + CHUNK_BYTES])

    return await remote.deploy(parts())
