"""How `perdure host` reaches its coordinator: on this machine, with a join token, or as the host it already is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from perdure_runner.host.dialling import Dialler, Plain
from perdure_runner.host.joining import Identity, Joined, JoinError, join

from perdure_server.app.dialling import token_of_home
from perdure_server.core.errors import CATALOGUE, PerdureError
from perdure_server.security.addresses import is_loopback


@dataclass(frozen=True, slots=True)
class Way:
    address: str
    host_id: str  # "": the host chooses one
    dialler: Dialler


async def way_to(coordinator: str | None, token: str | None, state_dir: Path, name: str, bearer: str) -> Way:
    """`token` is taken up only if no host whose certificate lasts is in `state_dir`: a service may always have it.

    Raises `PerdureError`: P0216 and P0217 it cannot join, P0207 nobody answers, P0104 no coordinator is named.
    """
    try:
        identity = Identity.load(state_dir)
        if token is not None and (identity is None or identity.over):
            identity = await join(token, state_dir, name)
            _say(f"joined as {identity.host_id}")
    except JoinError as error:
        code = error.code if error.code in CATALOGUE else "P0216"
        raise PerdureError(code, str(error), help=error.help) from None
    except OSError as error:
        raise PerdureError("P0207", f"cannot join: {error}") from None
    if identity is not None and (token is not None or coordinator is None):
        return Way(identity.address, identity.host_id, Joined(identity, state_dir, _say))
    if coordinator is None:
        raise PerdureError(
            "P0104", "which coordinator?", help="name one on this machine with --coordinator, or join one with --join"
        )
    if not coordinator.startswith("unix:") and not is_loopback(coordinator):
        raise PerdureError(
            "P0217",
            f"{coordinator} is not this machine",
            help="join it: `perdure hosts invite` makes a token for --join",
        )
    return Way(coordinator, name, Plain(coordinator, token_of_home(coordinator, bearer)))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
