"""The host's end of a runner's socket, on the loop's readiness callbacks.

Unlike an asyncio transport, a write to a runner that has gone does not throw away what it sent before: its last
records may still be in the socket.
"""

import asyncio
import socket
from collections.abc import Callable

_READ_BYTES = 1 << 16  # from 128 KiB on, malloc maps and unmaps each buffer: 13 us a read


class Connection:
    """Calls `received(data)` for what comes, and `ended()` once when no more will. Writes never block."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        received: Callable[[bytes], None],
        ended: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._socket = sock
        self._received = received
        self._ended = ended
        self._unsent = bytearray()
        self._reading = False
        self._writable = True
        self._open = True
        self.resume()

    @property
    def unsent(self) -> int:
        """Bytes that the runner has not taken yet."""
        return len(self._unsent)

    def write(self, data: bytes) -> None:
        """Send, or keep for later what the socket does not take now."""
        if not self._writable:
            return
        if not self._unsent:
            sent = self._send(data)
            if sent == len(data) or not self._writable:
                return
            data = data[sent:]
            self._loop.add_writer(self._socket.fileno(), self._flush)
        self._unsent += data

    def pause(self) -> None:
        """Read no more; the runner will block when the socket is full."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket.fileno())

    def resume(self) -> None:
        """Read again."""
        if self._open and not self._reading:
            self._reading = True
            self._loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Close the socket; no callback comes after that."""
        if self._open:
            self._open = False
            self.pause()
            self._stop_writing()
            self._socket.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._received(data)
        else:
            self.pause()
            self._ended()

    def _flush(self) -> None:
        sent = self._send(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._stop_writing()
            return 0

    def _stop_writing(self) -> None:
        if self._writable:
            self._writable = False
            self._unsent.clear()
            self._loop.remove_writer(self._socket.fileno())
