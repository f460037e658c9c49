"""What an operator can tell the Docker backend."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """`url`: the engine's address, "unix:///path"; empty: as the docker command finds it (DOCKER_HOST)."""

    url: str = ""
    runtime: str = ""  # "runsc"; empty: the engine's default
    warm: int = 2  # started containers that wait for a session
    making: int = 2  # containers that are being made at once
    overhead_bytes: int = 32 * MIB  # of a container, on top of a session's memory: the interpreter and its modules


@dataclass(frozen=True, slots=True)
class Most:
    """What a container is held to where its session's limits say nothing. As a manifest that says nothing."""

    memory_bytes: int = 2048 * MIB
    cpus: float = 0.0  # 0: all there are
    processes: int = 256
    open_files: int = 1024
    disk_bytes: int = 512 * MIB
    files: int = 20_000
