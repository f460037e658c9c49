"""From a name that a project lists to a connection: resolved here, judged by address, and connected to that address."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Final

from perdure_runner.host.egress.rules import Address, Rules

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_TRIED: Final = 4  # addresses of one name


class Refused(Exception):  # noqa: N818 (it is an answer, not a fault)
    """The policy has no way there. The message is for the project's people."""


class Unreachable(Exception):  # noqa: N818
    """There is a way, but nobody answers. The message is for the project's people."""


def resolver(executor: Executor) -> Resolve:
    """The machine's own resolver, asked in threads of `executor`. It raises OSError."""

    async def resolve(host: str, port: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(executor, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        return list(dict.fromkeys(ipaddress.ip_address(each[4][0]) for each in found))

    return resolve


async def connect(host: str, port: int, rules: Rules, resolve: Resolve, read_bytes: int) -> Streams:
    """Connect to `host`, in plain form.

    Between the judgement and the connection nobody is asked for the address again: a name that changes its mind
    (DNS rebinding) has nothing to say there.

    Raises:
        Refused, Unreachable
    """
    if not rules.permits(host, port):
        raise Refused(f"{_shown(host, port)} is not in the list `network` of perdure.yaml")
    try:
        addresses = await resolve(host, port)
    except OSError as error:
        raise Unreachable(f"{host} has no address: {error.strerror or error}") from None
    reached = [address for address in addresses if rules.reaches(address)]
    if not reached:
        raise Refused(f"{_shown(host, port)} is at a private or reserved address, which sessions may not reach")
    fault: OSError | None = None
    for address in reached[:_TRIED]:
        try:
            return await asyncio.open_connection(str(address), port, limit=read_bytes)
        except OSError as error:
            fault = error
    assert fault is not None
    raise Unreachable(f"{_shown(host, port)} cannot be reached: {fault.strerror or fault}")


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
