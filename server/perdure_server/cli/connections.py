"""`perdure connections`: named credentials of a project for a service, which client factories find by their name."""

from __future__ import annotations

import itertools
import os
import re
import sys
import textwrap
from collections.abc import Iterator

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.cli.vars import PROJECT, project_here
from perdure_server.core import integrations
from perdure_server.core.errors import PerdureError, did_you_mean
from perdure_server.core.integrations import Integration

_PROBE_S = 10.0
_WIDTHS = (14, 20, 34, 26)  # of the columns of `integrations`

connections = LazyGroup(
    {
        "add": Lazy("connections", "add", "Make a connection, or give one new values."),
        "list": Lazy("connections", "list_", "Show connections, and what they lack."),
        "test": Lazy("connections", "test", "Say whether a connection has all it needs, and its service answers."),
        "remove": Lazy("connections", "remove", "Remove a connection with all its values."),
        "integrations": Lazy("connections", "table", "Show the services that there are connections for."),
    },
    name="connections",
    help="Give projects named credentials for services: Slack, GitHub, Google, a database, any HTTP API, ...",
)


@click.command()
@click.argument("integration")
@click.argument("name")
@click.option("--token", metavar="VALUE|@FILE|-", help="The main secret: a token, key or address with a password.")
@click.option(
    "--set",
    "given",
    metavar="KEY=VALUE",
    multiple=True,
    help="A value: itself, @FILE, - for stdin or ${VAR} of the environment; repeatable.",
)
@click.option("--plain", metavar="KEY", multiple=True, help="This value is no secret; repeatable.")
@click.option("--oauth", is_flag=True, help="Let a browser sign in to the service (OAuth 2.0).")
@click.option("--client-id", metavar="ID", help="With --oauth: the id of your OAuth application.")
@click.option("--client-secret", metavar="@FILE|-|${VAR}", help="With --oauth: its secret, if it has one.")
@click.option("--scope", metavar="SCOPE", multiple=True, help="With --oauth: instead of the usual ones; repeatable.")
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=0,
    help="With --oauth: of the redirect [default: any].",
)
@click.option("--no-browser", is_flag=True, help="With --oauth: only print the address to open.")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def add(
    integration: str,
    name: str,
    token: str | None,
    given: tuple[str, ...],
    plain: tuple[str, ...],
    oauth: bool,
    client_id: str | None,
    client_secret: str | None,
    scope: tuple[str, ...],
    port: int,
    no_browser: bool,
    project: str | None,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> int:
    """Make connection NAME to a service, or give it new values; what it lacks is asked for at a prompt.

    `perdure connections integrations` shows the services and the keys of each.
    """
    entry = integrations.integration(integration)
    values = _values(entry, token, given)
    unknown = [key for key in plain if key not in values]
    if unknown:
        raise click.UsageError(f"--plain {unknown[0]}: no value of that name is set")
    if (client_id or client_secret or scope or no_browser or port) and not oauth:
        raise click.UsageError("--client-id, --client-secret, --scope, --port and --no-browser go with --oauth")
    if oauth:
        values |= await _signed_in(entry, values, client_id, client_secret, scope, port, browser=not no_browser)
    elif sys.stdin.isatty() and "-" not in (token, *given):
        values |= _asked(entry, values)
    settings = Settings.load()
    request = control.PutConnectionRequest(
        project=project_here(settings, project),
        name=name,
        integration=entry.name,
        values={key: value.encode("utf-8", "surrogateescape") for key, value in values.items()},
        plain=plain,
    )
    async with connect.writing(settings, server, home) as remote:
        made = await remote.put_connection(request)
    if as_json:
        documents.emit(_document(made))
    else:
        _tell(made, entry)
    return 0


async def _signed_in(
    entry: Integration,
    values: dict[str, str],
    client_id: str | None,
    client_secret: str | None,
    scope: tuple[str, ...],
    port: int,
    *,
    browser: bool,
) -> dict[str, str]:
    """What is known of the OAuth application, and what the service gives when somebody has signed in to it."""
    from perdure_server.cli import oauth as flow

    found = {integrations.CLIENT_ID: client_id} if client_id else {}
    if client_secret:
        if not _comes_from_elsewhere(client_secret):
            raise click.UsageError("--client-secret is @FILE, - or '${VAR}': command lines can be read")
        found[integrations.CLIENT_SECRET] = _value("--client-secret", client_secret)
    return found | await flow.sign_in(entry, values | found, scope, port, browser=browser)


def _tell(made: control.Connection, entry: Integration) -> None:
    render.say(f"{made.name}: connection to {entry.title} with {', '.join(made.keys) or 'no values'}")
    if made.missing:
        render.warning(lacking(made))
    if made.webhook_url:
        render.say(f"its events come to {made.webhook_url}")


@click.command("list")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def list_(project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Show the connections of a project: the names of their values, never the values."""
    found = await _all(project, server, home)
    if as_json:
        documents.emit([_document(each) for each in found])
        return 0
    if not found:
        render.say("no connections")
        return 0
    rows = [(each.name, each.integration, ", ".join(each.keys), ", ".join(each.missing) or "-") for each in found]
    render.table(("NAME", "INTEGRATION", "VALUES", "LACKS"), rows)
    return 0


@click.command()
@click.argument("name")
@click.option("--offline", is_flag=True, help="Only look whether it has all it needs.")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def test(
    name: str, offline: bool, project: str | None, server: str | None, home: str | None, as_json: bool
) -> int:
    """Say whether connection NAME has all it needs, and whether its public base_url answers at all.

    No credential is sent: whether the service takes them is known when a handler calls it.
    """
    found = await _all(project, server, home)
    names = [each.name for each in found]
    if name not in names:
        raise PerdureError(
            "P0230", f"there is no connection {name!r}", help=did_you_mean(name, names) or "perdure connections list"
        )
    made = found[names.index(name)]
    address = await _address(made, project, server, home)
    status = None if offline or not address else await _probe(address)
    if as_json:
        documents.emit(_document(made) | {"address": address or None, "status": status})
    elif status is not None:
        render.say(f"{address} answers with status {status}")
    if made.missing:
        render.warning(lacking(made))
        return 1
    if not as_json:
        render.say(f"{name} has all it needs")
    return 0


@click.command()
@click.argument("name")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def remove(name: str, project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Remove connection NAME with all its values."""
    settings = Settings.load()
    request = control.DeleteConnectionRequest(project=project_here(settings, project), name=name)
    async with connect.writing(settings, server, home) as remote:
        answer = await remote.delete_connection(request)
    if as_json:
        documents.emit({"name": name, "existed": answer.existed})
    else:
        render.say(f"removed {name}" if answer.existed else f"there was no connection {name}")
    return 0


@click.command("integrations")
@options.JSON
def table(as_json: bool) -> int:
    """Show the services that there are connections for, and the keys of each."""
    if as_json:
        documents.emit([_about(entry) for entry in integrations.INTEGRATIONS.values()])
        return 0
    rows = [row for entry in integrations.INTEGRATIONS.values() for row in _rows(entry)]
    render.table(("NAME", "SERVICE", "KEYS", "CLIENTS"), rows)
    render.say("oauth_*: what `perdure connections add --oauth` sets; --json names each")
    return 0


def _rows(entry: Integration) -> Iterator[tuple[str, ...]]:
    """As many as it takes to stay within 100 columns. The keys of OAuth, the same everywhere, are one."""
    names = (re.sub("^oauth_.*", "oauth_*", key.name) for key in entry.keys)
    cells = (entry.name, entry.title, ", ".join(dict.fromkeys(names)), ", ".join(entry.factories) or "-")
    lines = (textwrap.wrap(cell, width, break_long_words=False) for cell, width in zip(cells, _WIDTHS, strict=True))
    return itertools.zip_longest(*lines, fillvalue="")


def lacking(made: control.Connection) -> PerdureError:
    """What a connection lacks, and how it gets that."""
    needs = " ".join(f"--set {key}=@FILE" for key in made.missing)
    return PerdureError(
        "P0230",
        f"connection {made.name} to {made.integration} lacks {', '.join(made.missing)}",
        help=f"perdure connections add {made.integration} {made.name} {needs}",
    )


def _values(entry: Integration, token: str | None, given: tuple[str, ...]) -> dict[str, str]:
    pairs = options.pairs(given, "--set")
    for key, text in pairs.items():
        if entry.is_secret(key) and entry.key(key) is not None and not _comes_from_elsewhere(text):
            raise click.UsageError(f"{key} is a secret, and command lines can be read: give @FILE, - or '${{VAR}}'")
    unknown = [key for key in pairs if entry.key(key) is None]
    if unknown and entry.name != "generic":
        hint = did_you_mean(unknown[0], [key.name for key in entry.keys])
        raise click.UsageError(f"{entry.name} has no key {unknown[0]!r}" + (f"; {hint}" if hint else ""))
    values = {key: _value(key, text) for key, text in pairs.items()}
    if token is not None:
        values[entry.token] = _value("token", token)
    return {found.name if (found := entry.key(name)) else name: value for name, value in values.items()}


def _comes_from_elsewhere(text: str) -> bool:
    return text == "-" or text.startswith("@") or (text.startswith("${") and text.endswith("}"))


def _value(key: str, text: str) -> str:
    """From the environment, a file or stdin; else the text itself."""
    if text.startswith("${") and text.endswith("}"):
        name, separator, otherwise = text[2:-1].partition(":-")
        if name not in os.environ and not separator:
            raise PerdureError("P0108", f"{key}: {name} is not set in the environment")
        return os.environ.get(name, otherwise)
    return options.secret_text(text, key) or ""


def _asked(entry: Integration, values: dict[str, str]) -> dict[str, str]:
    """What is lacking, typed; secrets without echo."""
    missing = entry.missing(values)
    found = {}
    for name in missing:
        key = entry.key(name)
        assert key is not None
        found[name] = str(click.prompt(f"{name} ({key.about})", hide_input=key.secret, err=True))
    return found


async def _all(project: str | None, server: str | None, home: str | None) -> list[control.Connection]:
    settings = Settings.load()
    request = control.ListConnectionsRequest(project=project_here(settings, project))
    async with connect.reading(settings, server, home) as remote:
        return list((await remote.list_connections(request)).connections)


async def _address(made: control.Connection, project: str | None, server: str | None, home: str | None) -> str:
    """The connection's base_url, where that is no secret."""
    settings = Settings.load()
    request = control.ListVarsRequest(project=project_here(settings, project))
    async with connect.reading(settings, server, home) as remote:
        found = (await remote.list_vars(request)).vars
    name = integrations.variable(made.name, "base_url")
    return next((var.value.decode() for var in found if var.name == name), "")


async def _probe(address: str) -> int:
    """The status that the address answers a plain GET with. Raises P0207 when nothing answers."""
    import asyncio
    import urllib.error
    import urllib.request

    def ask() -> int:
        if not address.startswith(("http://", "https://")):
            raise PerdureError("P0103", f"base_url {address!r} is no HTTP address")
        try:
            with urllib.request.urlopen(address, timeout=_PROBE_S) as answer:  # noqa: S310 - the scheme is known
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError as error:
            reason = getattr(error, "reason", error)  # of urllib: the error of the socket
            said = getattr(reason, "strerror", None) or reason
            raise PerdureError("P0207", f"{address} does not answer: {said}") from None

    return await asyncio.to_thread(ask)


def _document(made: control.Connection) -> documents.Document:
    return {
        "name": made.name,
        "project": made.project,
        "integration": made.integration,
        "keys": list(made.keys),
        "missing": list(made.missing),
        "webhook_url": made.webhook_url or None,
        "set_at": documents.timestamp(made.set_us),
    }


def _about(entry: Integration) -> documents.Document:
    return {
        "name": entry.name,
        "title": entry.title,
        "keys": [{"name": key.name, "about": key.about, "secret": key.secret} for key in entry.keys],
        "ways": [list(way) for way in entry.ways],
        "clients": list(entry.factories),
        "package": entry.package or None,
        "oauth": entry.oauth is not None,
        "events": list(entry.events),
    }
