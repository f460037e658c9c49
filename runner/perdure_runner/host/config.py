"""A host's settings."""

import enum
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perdure_runner import frames
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.egress.config import EgressConfig

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What one runner may make its host hold or pass on."""

    frame_bytes: int = frames.MAX_FRAME
    header_bytes: int = frames.MAX_HEADER
    unacked_bytes: int = 8 * MIB  # beyond it the runner is not read until the coordinator has committed some
    unread_bytes: int = 512 * MIB  # history and answers that the runner has not read; beyond it it is killed
    log_bytes_per_s: int = MIB  # of printed and logged lines; beyond it lines are dropped
    log_burst_bytes: int = 4 * MIB
    log_bytes_total: int = 256 * MIB  # of one attach
    output_bytes: int = 64 << 10  # kept of what comes out at C level, for diagnosis
    build_bytes: int = 256 * MIB  # of a build's tarball
    environment_bytes: int = 4096 * MIB  # of the installed requirements of one project
    environments_bytes: int = 16384 * MIB  # of all of them; beyond it those go that were not used for longest


@dataclass(frozen=True, slots=True)
class HostPatience:
    """How long a host waits for a runner before it uses force, or before it passes on what is not urgent. Seconds."""

    suspend_s: float = 2.0  # for `suspended`, after the request
    leave_s: float = 10.0  # for its sessions to be moved elsewhere, or to end, when the host is to end
    exit_s: float = 2.0  # for the exit, after the end of its frames (and the other way round)
    start_s: float = 30.0  # for a zygote to be ready
    compile_s: float = 120.0  # for the code cache of a build, or of an environment
    install_s: float = 600.0  # for the packages of an environment
    quiet_s: float = 2.0  # without a word of a session, until it is asked to give memory back
    linger_s: float = 0.005  # for records that nobody waits for: most travel with the next that somebody does


class Profile(enum.Enum):
    """Whose code runs here, which says how it is held (docs/explanation/isolation.md)."""

    OWN = "own"  # the developer's: it may do what the developer may, but for what concerns the machine as a whole
    UNTRUSTED = "untrusted"  # anybody's: it sees and reaches nothing but what it is given


@dataclass(frozen=True, slots=True)
class HostConfig:
    """Everything a host can be told.

    `state_dir` holds builds and the runners' empty home; it may be deleted whenever the host is not running.
    `main` is the runner's main function, "module:function"; `packages` names and paths of what runners import of ours.
    """

    state_dir: Path
    host_id: str = ""  # empty: the machine's name and something random
    capacity: int = 64  # sessions at once
    labels: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable
    warm_seeds: tuple[int, ...] = ()  # hash seeds whose zygotes are started with the host
    zygotes: int = 8  # idle ones beyond this number are ended
    limits: HostLimits = field(default_factory=HostLimits)
    patience: HostPatience = field(default_factory=HostPatience)
    egress: EgressConfig = field(default_factory=EgressConfig)
    path: str = "/usr/local/bin:/usr/bin:/bin"  # PATH of runners
    nice: int = 0  # priority of runners, as of nice(1)
    isolation: str = "own"  # the developer's own code; or one of `isolation.CHOICES`, for strangers'
    docker: DockerConfig | None = None  # runners are containers of an engine; None: processes of this machine
    main: str = "perdure_runner.child.process:main"
    packages: Mapping[str, str] | None = None  # None: those this process would import

    @property
    def profile(self) -> Profile:
        return Profile.OWN if self.isolation == Profile.OWN.value else Profile.UNTRUSTED

    def __post_init__(self) -> None:
        if not self.host_id:
            object.__setattr__(self, "host_id", f"{socket.gethostname()}-{secrets.token_hex(4)}")
        object.__setattr__(self, "state_dir", self.state_dir.resolve())  # runners have another working directory
