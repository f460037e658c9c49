"""Where host and coordinator meet: two ends, each a plain callback, so that the in-process link costs a function call.

Neither `receive` blocks, awaits or raises. Back-pressure is by reading less.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from perdure_proto.v1.runner_pb2 import FromHost, ToHost


class BlobNotFoundError(LookupError):
    """The coordinator has no such blob. `code` is perdure's."""

    def __init__(self, message: str, code: str = "P0212") -> None:
        super().__init__(message)
        self.code = code


class Coordinator(Protocol):
    """What a host sees."""

    def receive(self, message: FromHost) -> None:
        """Take a message. It belongs to the coordinator from now on."""

    def fetch_blob(self, digest: str) -> AsyncIterator[bytes]:
        """Give the pieces of a build's tarball, or of another blob, by its sha256 (hex). An async generator function.

        Raises:
            BlobNotFoundError: there is none.
            ConnectionError: the coordinator cannot be reached.
        """


class HostEnd(Protocol):
    """What a coordinator sees."""

    def receive(self, message: ToHost) -> None:
        """Take a message. It belongs to the host from now on."""

    def closed(self, reason: str) -> None:
        """The link is gone: the host ends every runner, since their sessions go on elsewhere."""
