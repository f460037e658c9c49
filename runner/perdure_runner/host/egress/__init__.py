"""The way out of sessions whose project names the hosts it may reach: an HTTP proxy that the host serves."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from perdure_proto.v1.runner_pb2 import NETWORK_MODE_ALL, NETWORK_MODE_HOSTS, NETWORK_MODE_NONE, Start

from perdure_runner.host.backend import BackendError
from perdure_runner.host.egress.config import EgressConfig
from perdure_runner.host.egress.door import Door
from perdure_runner.host.egress.routes import Resolve, resolver
from perdure_runner.host.egress.rules import Rules

__all__ = ["Door", "Egress", "EgressConfig", "NetworkError", "check"]

_LOOKUPS: Final = 32  # at once, of all sessions: names are resolved in threads of their own


# What each kind of isolation can hold sessions to. The developer's own code ("own") is held to nothing.
_HELD: Final[Mapping[str, frozenset[int]]] = {
    "plain": frozenset({NETWORK_MODE_ALL}),
    "landlock": frozenset({NETWORK_MODE_ALL, NETWORK_MODE_NONE}),
}


class NetworkError(BackendError):
    """This host cannot hold a session to its project's `network`. The message says why."""

    code = "P0611"


def check(isolation: str, start: Start) -> None:
    """Raises `NetworkError` when runners of this kind could reach what the session may not."""
    held = _HELD.get(isolation)
    mode = start.network.mode or NETWORK_MODE_NONE
    if held is not None and mode not in held:
        wanted = "a list of hosts" if mode == NETWORK_MODE_HOSTS else "`network: none`"
        raise NetworkError(f"this host holds its runners by {isolation} only, which cannot hold them to {wanted}")


class Egress:
    """The ways out of a host's sessions, each by its own rules."""

    def __init__(self, config: EgressConfig, resolve: Resolve | None = None) -> None:
        self._config = config
        self._threads = ThreadPoolExecutor(_LOOKUPS, "resolve")
        self._resolve = resolve or resolver(self._threads)

    def door(self, start: Start) -> Door | None:
        """A way out for a new runner, if its project names hosts. Raises OSError."""
        if start.network.mode != NETWORK_MODE_HOSTS:
            return None
        return Door(Rules.of(start.network.hosts, self._config.private), self._config, self._resolve)

    def close(self) -> None:
        """Resolve no more. Doors are closed with their runners."""
        self._threads.shutdown(wait=False, cancel_futures=True)
