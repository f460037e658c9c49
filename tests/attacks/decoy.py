"""A process beside the sessions that has something to lose in every place where attacks look.

`python decoy.py JSON`, with "folder", "abstract", "giving", "key" and "argv". Prints, as JSON, its port, the number of
its descriptor and its secrets; ends when its standard input does. A SIGUSR1 makes the file `signalled`.
"""

import ctypes
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

CREATE, REMOVE = 0o1000 | 0o666, 0


def main() -> None:
    """See the module's docstring."""
    told = json.loads(sys.argv[1])
    folder = Path(told["folder"])
    kept = {
        name: f"CANARY-{name}-{secrets.token_hex(8)}"
        for name in ("memory", "descriptor", "tcp", "abstract", "path", "shared")
    }
    signal.signal(signal.SIGUSR1, lambda *_: (folder / "signalled").touch())
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open to the end)
    file.write(kept["descriptor"].encode())
    file.flush()
    tcp = socket.create_server(("127.0.0.1", 0))
    serve(tcp, lambda peer: peer.sendall(kept["tcp"].encode()))
    serve(bound("\0" + told["abstract"]), lambda peer: peer.sendall(kept["abstract"].encode()))
    serve(bound(str(folder / "decoy.sock")), lambda peer: peer.sendall(kept["path"].encode()))
    serve(bound("\0" + told["giving"]), lambda peer: socket.send_fds(peer, [b"!"], [file.fileno()]))
    segment = share(told["key"], kept["shared"])
    print(json.dumps({"port": tcp.getsockname()[1], "descriptor": file.fileno(), "secrets": kept}), flush=True)
    try:
        sys.stdin.read()
    finally:
        ctypes.CDLL(None).shmctl(segment, REMOVE, None)


def bound(address: str) -> socket.socket:
    """A listening Unix socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    return listener


def serve(listener: socket.socket, greet: object) -> None:
    """Greet whoever connects, in a thread."""

    def run() -> None:
        while True:
            peer, _ = listener.accept()
            with peer:
                greet(peer)  # type: ignore[operator]  # a function of the socket

    threading.Thread(target=run, daemon=True).start()


def share(key: int, text: str) -> int:
    """Put text into shared memory that everybody may read who knows the key; give its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.shmget(key, 4096, CREATE)
    if number < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    libc.shmat.restype = ctypes.c_void_p
    ctypes.memmove(libc.shmat(number, None, 0), text.encode(), len(text))
    return int(number)


if __name__ == "__main__":
    main()
