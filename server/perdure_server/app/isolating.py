"""Whether runners can be held as asked: said before anything is started, in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from perdure_server.core.errors import PerdureError

_ALWAYS_POSSIBLE: Final = frozenset({"own", "auto", "plain"})


async def require(isolation: str, state_dir: Path) -> None:
    """Try it, unless it can always be had. Raises `PerdureError` P0213: this machine cannot."""
    if isolation in _ALWAYS_POSSIBLE:
        return
    from perdure_runner.host.config import HostConfig
    from perdure_runner.host.isolation import IsolationError, choose

    try:
        await choose(HostConfig(state_dir=state_dir, isolation=isolation), sys.executable)
    except IsolationError as refused:
        raise PerdureError("P0213", str(refused), help="--isolation auto takes the best there is") from None
