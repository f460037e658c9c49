"""`perdure tokens`: who may ask a server, and what."""

from __future__ import annotations

import re
from typing import Any

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, options, render
from perdure_server.cli.settings import Settings
from perdure_server.cli.text import clean
from perdure_server.core.errors import PerdureError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@click.group()
def tokens() -> None:
    """Make, list and revoke the tokens that clients show."""


@tokens.command()
@click.argument("name")
@click.option(
    "--scope", type=click.Choice(("read", "deploy", "admin")), default="read", help="What it allows [default: read]."
)
@click.option("--project", metavar="NAME", default="", help="Allow it for this project only.")
@click.option("--valid", metavar="TIME", default="90d", help="How long: 30m, 12h, 90d, or `ever` [default: 90d].")
@options.where
@options.JSON
@connect.waits
async def create(
    name: str, scope: str, project: str, valid: str, server: str | None, home: str | None, as_json: bool
) -> None:
    """Make a token called NAME, and print it: it cannot be seen again."""
    request = control.CreateTokenRequest(
        name=name, scope=scope, project=project, valid_s=0 if valid == "ever" else seconds(valid, "--valid")
    )
    async with connect.writing(Settings.load(), server, home) as remote:
        made = await remote.create_token(request)
    if as_json:
        documents.emit(document(made.token) | {"token": made.secret})
        return
    render.say(f"token {made.token.token_id} ({scope}) is shown this once; pass it in PERDURE_TOKEN")
    render.show(made.secret)


@tokens.command("list")
@options.where
@options.JSON
@connect.waits
async def list_tokens(server: str | None, home: str | None, as_json: bool) -> None:
    """List tokens, and hosts that have joined.

    Hosts have the scope `host`. Secrets are never shown.
    """
    async with connect.reading(Settings.load(), server, home) as remote:
        found = (await remote.list_tokens(control.ListTokensRequest())).tokens
    if as_json:
        documents.emit([document(token) for token in found])
        return
    if not found:
        render.say("no tokens")
        return
    headings = ("ID", "NAME", "SCOPE", "PROJECT", "CREATED", "ENDS", "LAST USED")
    render.table(headings, (_row(token) for token in found))


@tokens.command()
@click.argument("token_id", metavar="ID")
@options.where
@connect.waits
async def revoke(token_id: str, server: str | None, home: str | None) -> None:
    """Let nobody in any more with token ID.

    Of a host that joined it cuts the link, too.
    """
    async with connect.writing(Settings.load(), server, home) as remote:
        answer = await remote.revoke_token(control.RevokeTokenRequest(token_id=token_id))
    if not answer.existed:
        raise PerdureError("P0215", f"there is no token {token_id!r}", help="`perdure tokens list` shows all")
    render.show(f"{token_id} is revoked")


def seconds(text: str, option: str) -> float:
    """`30m` as seconds; click's usage error for what is no time."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not found or not float(found[1]):
        raise click.BadParameter(f"{text!r} is no time such as 90s, 30m, 12h or 90d", param_hint=option)
    return float(found[1]) * _UNITS[found[2] or "s"]


def document(token: control.Token) -> dict[str, Any]:
    """A token as `--json` shows it, without its secret."""
    return {
        "token_id": token.token_id,
        "name": token.name,
        "scope": token.scope,
        "project": token.project or None,
        "created_at": documents.timestamp(token.created_us),
        "ends_at": documents.timestamp(token.expires_us),
        "used_at": documents.timestamp(token.used_us),
    }


def _row(token: control.Token) -> tuple[str, ...]:
    times = (token.created_us, token.expires_us, token.used_us)
    created, ends, used = map(render.moment, times)
    return (token.token_id, clean(token.name), token.scope, token.project, created, ends or "never", used or "never")
