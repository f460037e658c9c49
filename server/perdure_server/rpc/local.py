"""The token of a server on this machine: whoever can read its home may ask it anything."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, Final

ENDPOINT: Final = "endpoint.json"
_MAX_BYTES: Final = 64 * 1024


def read_endpoint(home: Path) -> dict[str, Any]:
    """What a server wrote about itself into its home; empty when there is nothing that can be read.

    The home may be one that a stranger has named: only a plain file is read, and no pipe waited for.
    """
    try:
        file = os.open(home / ENDPOINT, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        return {}
    with open(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return {}
        try:
            said = json.loads(opened.read(_MAX_BYTES))
        except (ValueError, RecursionError):
            return {}
    return said if isinstance(said, dict) else {}


def home_token(home: str, address: str) -> str:
    """The token for the server at `address` that says that it serves `home`; empty when we cannot read it.

    It is given away only to the address that the home itself names. Whoever took the port of a server that is gone
    gets nothing by it: the token ended with that server.
    """
    said = read_endpoint(Path(home)) if home else {}
    return str(said.get("token", "")) if said.get("grpc") == address else ""
