"""What a runner's side of the sandbox is told about one session: limits, network, places (`child/sandbox/cell.py`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from perdure_proto.v1 import runner_pb2 as runner

from perdure_runner.host.backend import Files

_NETWORK: Final[Mapping[int, str]] = {runner.NETWORK_MODE_ALL: "all", runner.NETWORK_MODE_HOSTS: "hosts"}


def confine(start: runner.Start, files: Files, writable: Sequence[Path] = ()) -> dict[str, Any]:
    """Give the JSON object that a fork request, or a runner of its own, is sent. Limits of 0 are none."""
    limits = start.limits
    return {
        "memory": limits.memory_bytes,
        "cpus": limits.cpus,
        "processes": limits.processes,
        "open_files": limits.open_files,
        "disk": limits.disk_bytes,
        "files": limits.files,
        "network": _NETWORK.get(start.network.mode, "none"),
        "code": str(files.code),
        "cache": str(files.cache),
        "environment": str(files.environment or ""),
        "writable": [str(path) for path in writable],
    }
