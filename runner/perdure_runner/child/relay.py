"""The session's way out: a listener inside its network namespace that its host serves.

Nothing relays. The listener is made in here, before user code, and given to the host over a Unix socket: it stays a
socket of this namespace wherever it is served from, so no process, thread or descriptor is left for user code to meet.
"""

import socket
from collections.abc import Mapping
from typing import Final

ADDRESS: Final = ("127.0.0.1", 3128)
_URL: Final = f"http://{ADDRESS[0]}:{ADDRESS[1]}"
_INSIDE: Final = "localhost,127.0.0.1,::1"
_BACKLOG: Final = 64

_PROXIES: Final = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _URL) | {"NO_PROXY": _INSIDE}
# There is no standard of these, so both spellings.
_VARIABLES: Final[Mapping[str, str]] = _PROXIES | {name.lower(): value for name, value in _PROXIES.items()}


def open_door(to_host: int) -> None:
    """Listen in this network namespace, whose loopback is up, and give the listener to the host.

    `to_host` is a connected Unix socket, which is closed.

    Raises:
        OSError: the loopback is down, or the host is gone.
    """
    with socket.socket(fileno=to_host) as host, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(ADDRESS)
        listener.listen(_BACKLOG)
        socket.send_fds(host, [b"door"], [listener.fileno()])


def variables(proxied: bool) -> Mapping[str, str]:
    """What makes the common clients of a session go through its door, if it has one."""
    return _VARIABLES if proxied else {}
