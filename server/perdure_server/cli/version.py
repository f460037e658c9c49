"""`perdure version`: of the client, and of the server when one is there."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import click
from perdure._version import __version__


@click.command()
@click.option("--server", metavar="HOST:PORT", help="A running coordinator [env: PERDURE_SERVER].")
@click.option("--home", metavar="DIR", help="Home whose server to ask [default: .perdure].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout and nothing else there.")
def version(server: str | None, home: str | None, as_json: bool) -> None:
    """Show the version of the client, and of the server when one is named or serves the home."""
    from perdure_server.cli.settings import Settings

    settings = Settings.load()
    at = settings.text("server", server) or _serving(Path(settings.text("home", home)))
    answer = _ask(settings, at) if at else None
    if as_json:
        import json

        client = {"version": __version__, "python": platform.python_version()}
        click.echo(json.dumps({"client": client, "server": answer}))
        return
    click.echo(f"perdure {__version__} (Python {platform.python_version()})")
    if answer is not None:
        click.echo(f"server  {answer['version']} (protocol {answer['protocol']}, {answer['address']})")


def _serving(home: Path) -> str | None:
    """Without gRPC and protobuf, which cost a tenth of a second, as long as there is no server to ask."""
    if not (home / "endpoint.json").is_file():
        return None
    from perdure_server.cli import connect

    return connect.endpoint(home)


def _ask(settings: Any, at: str) -> dict[str, Any]:
    import asyncio

    from perdure_proto.v1.control_pb2 import GetVersionRequest

    from perdure_server.cli import connect

    async def ask() -> dict[str, Any]:
        async with connect.remote(settings, at) as control:
            said = await control.get_version(GetVersionRequest(client_version=__version__))
        return {
            "version": said.version,
            "protocol": said.protocol_version,
            "address": at,
            "coordinator_id": said.coordinator_id,
            "home": said.home,
            "pid": said.pid,
        }

    return asyncio.run(ask())
