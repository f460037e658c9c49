"""Options that several commands share, and the events they carry."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from perdure_server.cli.settings import ISOLATIONS, Settings
from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_server.app.listening import HttpAddress

_COMPLETED = 200  # newest sessions, offered to a shell
Decorated = TypeVar("Decorated", bound=Callable[..., Any])

HOME = click.option(
    "--home", metavar="DIR", help="Where the coordinator's journal, builds and keys are [default: .perdure]."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else there.")
EVENT = click.option(
    "--event", metavar="JSON|@FILE|-", default=None, help="The event: JSON, a file of JSON, or - for stdin."
)
NO_DURABLE = click.option("--no-durable", is_flag=True, help="Record nothing: no replay after a crash.")
ISOLATION = click.option(
    "--isolation",
    type=click.Choice(ISOLATIONS),
    help="How sessions are held [default: auto; run and dev: own]; strict: namespaces or nothing.",
)
EGRESS_ALLOW_PRIVATE = click.option(
    "--egress-allow-private",
    metavar="CIDR",
    multiple=True,
    help="Addresses of internal services, which projects may list like public ones; repeatable.",
)
HTTP = click.option("--http", metavar="ADDR", help="HOST:PORT for webhooks and the JSON API; port 0: any free one.")
PUBLIC_URL = click.option("--public-url", metavar="URL", help="How others reach HTTP [default: by its own address].")
PROJECT = click.option("--project", metavar="NAME", help="Name of the project [default: the manifest's or folder's].")
OF_PROJECT = click.option("--project", metavar="NAME", help="Only of this project [default: of all].")


def where(command: Decorated) -> Decorated:
    """--server and --home: which coordinator a command talks to."""
    server = click.option("--server", metavar="HOST:PORT", help="A running coordinator [env: PERDURE_SERVER].")
    return functools.reduce(lambda function, option: option(function), (HOME, server), command)


def http_address(settings: Settings, http: str | None, public_url: str | None, default: str = "") -> HttpAddress | None:
    """Where to listen for HTTP; None: nowhere. `default`: if it is taken, any other port will do. P0103 for no URL."""
    from perdure_server.app.listening import HttpAddress

    url = settings.text("public_url", public_url)
    if url and not url.startswith(("http://", "https://")):
        raise PerdureError("P0103", f"the public URL {url!r} is none", help="it begins with https:// or http://")
    named = settings.text("http", http)
    if not named and not default:
        return None
    return HttpAddress(named or default, or_any=not named, public_url=url)


def complete_sessions(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of sessions that begin with what is typed; none where there is nothing to ask, or it does not answer."""
    import asyncio

    from perdure_server.cli import connect, fetch

    async def ids() -> list[str]:
        async with connect.reading(Settings.load(), ctx.params.get("server"), ctx.params.get("home")) as remote:
            return [session.session_id for session in await fetch.sessions(remote, _COMPLETED)]

    try:
        return [each for each in asyncio.run(ids()) if each.startswith(incomplete)]
    except PerdureError:
        return []


SESSION = click.argument("session_id", metavar="ID", shell_complete=complete_sessions)


def event(text: str | None, what: str = "--event") -> bytes:
    """JSON as UTF-8. `text` is JSON, `@FILE` or `-` (stdin); None means `null`. `what`: the option or argument it is.

    Raises `PerdureError`: P0201 no JSON (with line, column and the line's text), P0110 no such file.
    """
    if text is None:
        return b"null"
    raw, origin = _source(text, what)
    try:
        json.loads(raw, parse_constant=_refuse)
    except json.JSONDecodeError as wrong:
        lines = raw.splitlines()
        raise PerdureError(
            "P0201",
            f"is no JSON: {wrong.msg}",
            help="texts need double quotes, also around the whole of it: '\"text\"'",
            file=origin,
            line=wrong.lineno,
            column=wrong.colno,
            source=lines[wrong.lineno - 1] if wrong.lineno <= len(lines) else None,
        ) from None
    except (ValueError, RecursionError) as wrong:
        raise PerdureError("P0201", f"{origin} is no JSON: {wrong}") from None
    return raw.encode("utf-8", "surrogatepass")


def _source(text: str, what: str) -> tuple[str, str]:
    if text == "-":
        return sys.stdin.read(), "stdin"
    if not text.startswith("@"):
        return text, what
    file = Path(text[1:])
    try:
        return file.read_text(encoding="utf-8"), str(file)
    except UnicodeDecodeError as wrong:
        raise PerdureError("P0201", f"{file} is no JSON: it is not UTF-8 ({wrong.reason})") from None
    except OSError as wrong:
        raise PerdureError("P0110", f"cannot read {what}: {file}: {wrong.strerror}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not part of JSON")


def secret_text(given: str | None, option: str) -> str | None:
    """A secret of an option: itself, `@FILE`, or `-` for stdin, because everybody can read command lines."""
    if given is None or (given != "-" and not given.startswith("@")):
        return given
    try:
        text = sys.stdin.read() if given == "-" else Path(given[1:]).read_text(encoding="utf-8", errors="replace")
    except OSError as wrong:
        raise PerdureError("P0110", f"cannot read {option}: {given[1:]}: {wrong.strerror}") from None
    return text.strip()


def pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    """`K=V` options as a dictionary; click's usage error for one without `=` or without a key."""
    for pair in given:
        if not pair.partition("=")[1] or not pair.partition("=")[0]:
            raise click.BadParameter(f"{pair!r} is not of the form KEY=VALUE", param_hint=option)
    return dict(pair.split("=", 1) for pair in given)
