"""How a client, or a host of this machine, reaches a server: with what it can show, and over TLS where it has to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from perdure_proto.v1.control_pb2 import GetVersionRequest

from perdure_server.core.errors import PerdureError
from perdure_server.rpc.client import RemoteControl
from perdure_server.security.addresses import is_loopback
from perdure_server.security.secret import TokenText

_ASK_S = 2.0


async def dial(address: str, token: str, timeout_s: float) -> RemoteControl:
    """A client of the server at `address`. A token of a server with TLS names its CA: nobody else is believed.

    Raises `PerdureError`: P0215 not a token, or none for another machine, P0207 nobody there, P0217 somebody else is.
    """
    if address.startswith("unix:"):
        return RemoteControl(address, connect_timeout_s=timeout_s)  # the socket is the identity
    said = TokenText.parse(token) if token else None
    if token and said is None:
        raise PerdureError("P0215", "PERDURE_TOKEN is no token", help="it begins with `pt.` and is one line")
    if said is not None and said.authority:
        authority = await _authority(address, said.authority, timeout_s)
        return RemoteControl(address, token=token, authority=authority, connect_timeout_s=timeout_s)
    if is_loopback(address):
        return RemoteControl(address, token=token, connect_timeout_s=timeout_s)
    if said is not None:
        raise PerdureError("P0217", f"{address} is not this machine, and the token is of a server without TLS")
    raise PerdureError("P0215", f"{address} is not this machine: it wants a token", help="pass one in PERDURE_TOKEN")


async def _authority(address: str, fingerprint: str, timeout_s: float) -> bytes:
    from perdure_runner.host.pinning import PinError, pinned_authority

    try:
        return await pinned_authority(address, fingerprint, timeout_s)
    except PinError as error:
        raise PerdureError("P0217", str(error), help="check --server; a token is good for one server only") from None
    except (OSError, TimeoutError) as error:
        why = str(error) or f"no answer within {timeout_s:g} s"
        raise PerdureError("P0207", f"no coordinator answers at {address}: {why}") from None


def token_of_home(address: str, token: str) -> Callable[[], Awaitable[str]]:
    """For a host on the server's machine: the given token, else that of the home whose server is at `address`."""

    async def ask() -> str:
        if token or address.startswith("unix:"):
            return token
        async with RemoteControl(address, connect_timeout_s=_ASK_S) as control:
            try:
                await control.get_version(GetVersionRequest())
            except PerdureError:
                return ""  # whoever is there will say what is wrong when the host attaches
            return control.token

    return ask
