"""The network of a session that has its own: nothing but a loopback interface."""

import fcntl
import socket
import struct

_SIOCSIFFLAGS = 0x8914
_UP_AND_RUNNING = 0x1 | 0x40


def loopback_up() -> None:
    """Switch the loopback interface of a new network namespace on. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _UP_AND_RUNNING))
