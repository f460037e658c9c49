"""The way out of sessions whose project names the hosts it may reach: an HTTP proxy that the host serves."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from perdure_proto.v1.runner_pb2 import NETWORK_MODE_HOSTS, Start

from perdure_runner.host.egress.config import EgressConfig
from perdure_runner.host.egress.door import Door
from perdure_runner.host.egress.routes import Resolve, resolver
from perdure_runner.host.egress.rules import Rules

__all__ = ["Door", "Egress", "EgressConfig"]

_LOOKUPS: Final = 8  # at once, of all sessions: names are resolved in threads of their own


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
