"""Where a server listens for HTTP."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from perdure_server.core.errors import PerdureError
from perdure_server.security.addresses import listen
from perdure_server.web.wire import Behind


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """`listen`: HOST:PORT. `or_any`: if it is taken, any other port. `public_url`: what others are told instead.

    `behind`: it is a gateway that listens there, and passes on what is for the coordinator.
    """

    listen: str
    or_any: bool = False
    public_url: str = ""
    behind: Behind | None = None

    def open(self) -> socket.socket:
        """A socket that listens. Raises `PerdureError` P0203: address in use."""
        try:
            return listen(self.listen)
        except PerdureError:
            if not self.or_any:
                raise
            return listen(self.listen.rpartition(":")[0] + ":0")
