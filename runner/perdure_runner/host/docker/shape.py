"""What a container is like: everything that has to be decided before it is made, so that equal ones can be pooled."""

import os
from dataclasses import dataclass
from typing import Any

from perdure_proto.v1.runner_pb2 import NETWORK_MODE_ALL, Limits, Start

from perdure_runner.host.docker import seccomp
from perdure_runner.host.docker.config import DockerConfig, Most

USER = "65532:65532"
"""Of runners, in every image: nobody's numbers, so a file of theirs is nobody's either."""
INSIDE = "/run/perdure"
"""Where a container sees its cell, the folder that it shares with the host, read-only."""

_SHARED_MEMORY = 16 << 20  # /dev/shm: semaphores of multiprocessing
_LOG = {"max-size": "1m", "max-file": "2"}  # of what comes out before the zygote answers, and of nothing else


@dataclass(frozen=True, slots=True)
class Shape:
    """Limits are in bytes, processors' worth of time, and numbers of things."""

    image: str  # its id
    seed: int  # of hashes: the interpreter's, so it is there from the start
    memory_bytes: int
    cpus: float
    processes: int
    open_files: int
    disk_bytes: int
    files: int
    network: bool

    @classmethod
    def of(cls, start: Start, image: str) -> "Shape":
        """What a session needs; a limit of 0 is no limit to us, but a container always has one."""
        most, limits = Most(), start.limits
        return cls(image, start.hash_seed, **_held(limits, most), network=start.network.mode == NETWORK_MODE_ALL)

    @classmethod
    def usual(cls, image: str, seed: int) -> "Shape":
        """What sessions need whose project says nothing of it."""
        return cls(image, seed, **_held(Limits(), Most()), network=False)

    def container(self, config: DockerConfig, network: str) -> dict[str, Any]:
        """Arguments of the SDK's `containers.create` but the command, the name, the labels and the cell's bind.

        `network` is the engine's network for sessions that may reach everything.
        """
        memory = self.memory_bytes + config.overhead_bytes
        files = max(self.open_files, _ZYGOTES_FILES)
        given: dict[str, Any] = {
            "image": self.image,
            "user": USER,
            "hostname": "runner",
            "read_only": True,
            "init": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true", f"seccomp={seccomp.profile()}"],
            "pids_limit": self.processes + _OWN_PROCESSES,
            "mem_limit": memory,
            "memswap_limit": memory,  # memory and swap together: no swap
            "ipc_mode": "private",
            "tmpfs": {
                "/tmp": self._in_memory(self.disk_bytes),  # noqa: S108
                "/dev/shm": self._in_memory(min(_SHARED_MEMORY, self.disk_bytes)),  # noqa: S108
            },
            "ulimits": [
                {"Name": "nofile", "Soft": files, "Hard": files},
                {"Name": "core", "Soft": 0, "Hard": 0},
            ],
            "log_config": {"Type": "local", "Config": _LOG},
            "network_mode": network if self.network else "none",
            "environment": {
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "HOME": "/tmp",  # noqa: S108
                "PYTHONHASHSEED": str(self.seed),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONNOUSERSITE": "1",
            },
            "working_dir": "/",
        }
        if self.cpus:
            # The engine refuses what it has not, and less than a hundredth.
            given["nano_cpus"] = round(max(0.01, min(self.cpus, os.cpu_count() or 1)) * 1e9)
        if config.runtime:
            given["runtime"] = config.runtime
        return given

    def _in_memory(self, size: int) -> str:
        return f"rw,nosuid,nodev,size={size},nr_inodes={self.files},mode=1777"


_OWN_PROCESSES = 2  # the engine's init and the zygote
_ZYGOTES_FILES = 256  # open ones; the zygote holds its runner to what is less


def _held(limits: Limits, most: Most) -> dict[str, Any]:
    return {
        "memory_bytes": limits.memory_bytes or most.memory_bytes,
        "cpus": limits.cpus or most.cpus,
        "processes": limits.processes or most.processes,
        "open_files": limits.open_files or most.open_files,
        "disk_bytes": limits.disk_bytes or most.disk_bytes,
        "files": limits.files or most.files,
    }
