"""`perdure serve` and `perdure host`: the two that run until they are told to end."""

from __future__ import annotations

from pathlib import Path

import click

from perdure_server.cli import connect, options
from perdure_server.cli.settings import RUNNER_KINDS, Settings


@click.command()
@options.HOME
@click.option("--grpc", metavar="ADDR", help="HOST:PORT or unix:PATH to listen on; port 0: any [default: 127.0.0.1:0].")
@click.option(
    "--runner",
    type=click.Choice(RUNNER_KINDS),
    help="local: a host beside it; none: only hosts that dial in [default: local].",
)
@connect.waits
async def serve(home: str | None, grpc: str | None, runner: str | None) -> int:
    """Run the coordinator. When it is ready it prints `ready grpc=ADDR` on stderr and writes HOME/endpoint.json."""
    from perdure_server.app.server import serve as run_server

    settings = Settings.load()
    return await run_server(
        Path(settings.text("home", home)), grpc=settings.text("grpc", grpc), runner=settings.text("runner", runner)
    )


@click.command()
@click.option("--coordinator", metavar="ADDR", required=True, help="HOST:PORT or unix:PATH of the coordinator.")
@click.option("--state-dir", metavar="DIR", help="Where extracted builds are kept [default: .perdure-host].")
@click.option("--capacity", metavar="N", help="Sessions at once [default: 64].")
@click.option("--label", "labels", metavar="K=V", multiple=True, help="A label that sessions may ask for; repeatable.")
@connect.waits
async def host(coordinator: str, state_dir: str | None, capacity: str | None, labels: tuple[str, ...]) -> int:
    """Run a host: it dials the coordinator, starts runners for it, and goes on dialling when the link is lost."""
    from perdure_runner.host.main import main

    settings = Settings.load()
    return await main(
        coordinator,
        Path(settings.text("state_dir", state_dir)),
        capacity=int(settings.number("capacity", capacity)),
        labels=options.pairs(labels, "--label"),
    )
