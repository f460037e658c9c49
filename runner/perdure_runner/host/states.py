"""The states of a session on its host, as one table: which frame may come when, and what the host's own commands do."""

from collections.abc import Mapping
from enum import Enum


class State(Enum):
    """Where a session's conversation with its runner stands."""

    STARTING = "starting"  # its build, zygote and process are being made; or the process has not spoken yet
    CONNECTED = "connected"  # it has said hello and loads the user's module
    RUNNING = "running"  # user code runs, or is replayed
    WAITING = "waiting"  # every lane waits, or did so before the news that a wait has ended crossed its word
    STOPPING = "stopping"  # asked to suspend; what was already on its way may still come
    DONE = "done"  # has said its last word; nothing may follow


class Command(Enum):
    """What the coordinator's messages do to a runner that is there."""

    RESOLVE = "resolve"
    POLITE = "polite"
    SUSPEND = "suspend"


# A frame that is not in the table is out of order, and its runner is killed.
FRAMES: Mapping[tuple[State, str], State] = {
    (State.STARTING, "hello"): State.CONNECTED,
    (State.CONNECTED, "attached"): State.RUNNING,
    (State.CONNECTED, "log"): State.CONNECTED,
    (State.CONNECTED, "ask"): State.CONNECTED,
    (State.CONNECTED, "done"): State.DONE,
    (State.RUNNING, "rec"): State.RUNNING,
    (State.RUNNING, "log"): State.RUNNING,
    (State.RUNNING, "ask"): State.RUNNING,
    (State.RUNNING, "live"): State.RUNNING,
    (State.RUNNING, "wait"): State.WAITING,
    (State.RUNNING, "done"): State.DONE,
    (State.WAITING, "rec"): State.RUNNING,
    (State.WAITING, "log"): State.RUNNING,
    (State.WAITING, "ask"): State.RUNNING,
    (State.WAITING, "live"): State.RUNNING,
    (State.WAITING, "wait"): State.WAITING,
    (State.WAITING, "done"): State.DONE,
    (State.STOPPING, "attached"): State.STOPPING,
    (State.STOPPING, "rec"): State.STOPPING,
    (State.STOPPING, "log"): State.STOPPING,
    (State.STOPPING, "ask"): State.STOPPING,
    (State.STOPPING, "live"): State.STOPPING,
    (State.STOPPING, "wait"): State.STOPPING,
    (State.STOPPING, "suspended"): State.DONE,
    (State.STOPPING, "done"): State.DONE,
}

# A command that is not in the table leaves the state as it is.
COMMANDS: Mapping[tuple[State, Command], State] = {
    (State.WAITING, Command.RESOLVE): State.RUNNING,
    (State.WAITING, Command.POLITE): State.RUNNING,
    (State.CONNECTED, Command.SUSPEND): State.STOPPING,
    (State.RUNNING, Command.SUSPEND): State.STOPPING,
    (State.WAITING, Command.SUSPEND): State.STOPPING,
}
