"""`perdure hosts invite, revoke`: letting hosts of other machines in, and out."""

from __future__ import annotations

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, options, render
from perdure_server.cli.settings import Settings
from perdure_server.cli.tokens import seconds
from perdure_server.core.errors import PerdureError


@click.command()
@click.option("--valid", metavar="TIME", default="10m", help="How long it can be taken up: 10m, 2h [default: 10m].")
@click.option("--host", "host_id", metavar="NAME", default="", help="For this name; a host that has it is replaced.")
@options.where
@options.JSON
@connect.waits
async def invite(valid: str, host_id: str, server: str | None, home: str | None, as_json: bool) -> None:
    """Print a join token: with it, once, `perdure host --join TOKEN` makes a host of another machine."""
    request = control.InviteHostRequest(valid_s=seconds(valid, "--valid"), host_id=host_id)
    async with connect.writing(Settings.load(), server, home) as remote:
        made = await remote.invite_host(request)
    if as_json:
        ends = documents.timestamp(made.expires_at_us)
        documents.emit({"token": made.token, "address": made.address, "host_id": host_id or None, "ends_at": ends})
        return
    render.say(f"good for one host at {made.address}, within {valid}: perdure host --join TOKEN")
    render.show(made.token)


@click.command()
@click.argument("host_id", metavar="HOST")
@options.where
@connect.waits
async def revoke(host_id: str, server: str | None, home: str | None) -> None:
    """Let HOST in no more, and cut its link: its sessions go on elsewhere."""
    async with connect.writing(Settings.load(), server, home) as remote:
        answer = await remote.revoke_token(control.RevokeTokenRequest(token_id=f"host:{host_id}"))
    if not answer.existed:
        raise PerdureError(
            "P0218", f"no host {host_id!r} has joined", help="`perdure tokens list` shows those that have"
        )
    render.show(f"{host_id} is revoked")
