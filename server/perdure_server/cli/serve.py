"""`perdure serve` and `perdure host`: the two that run until they are told to end."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perdure_server.cli import connect, containers, options
from perdure_server.cli.settings import RUNNER_KINDS, Settings

if TYPE_CHECKING:
    from perdure_server.coordinator.settings import Settings as Policy
    from perdure_server.manifest.network import Mode


@click.command()
@options.HOME
@click.option("--grpc", metavar="ADDR", help="HOST:PORT or unix:PATH to listen on; port 0: any [default: 127.0.0.1:0].")
@options.HTTP
@options.PUBLIC_URL
@click.option(
    "--runner",
    type=click.Choice(RUNNER_KINDS),
    help="local: a host beside it; docker: one that uses containers; ray: one on each node of a Ray cluster; "
    "none: hosts that dial in [default: local].",
)
@click.option("--ray-address", metavar="ADDR", help="The cluster of --runner ray [default: the one of this machine].")
@options.ISOLATION
@click.option(
    "--tls-name", "tls_names", metavar="NAME", multiple=True, help="A name or IP address by which it is dialled; TLS."
)
@click.option("--grpc-hosts", metavar="ADDR", help="HOST:PORT where hosts attach that joined [default: the next port].")
@click.option("--certificate-valid", metavar="SECONDS", help="How long hosts' certificates last [default: 86400].")
@click.option(
    "--network",
    type=click.Choice(("none", "all")),
    help="What sessions reach whose project does not say [default: none].",
)
@click.option("--limits", metavar="K=V,...", help="What no project gets more of: memory=1GiB,processes=64,...")
@click.option("--shares", metavar="K=V,...", help="What each project has of what all share: values=1000,data=1GiB,...")
@options.EGRESS_ALLOW_PRIVATE
@click.option(
    "--session-retention", metavar="SECONDS", help="How long ended sessions are kept [default: 30 days]; 0: for ever."
)
@click.option("--event-retention", metavar="SECONDS", help="How long events are kept [default: 30 days]; 0: for ever.")
@click.option(
    "--build-sdists",
    is_flag=True,
    help="Let projects have packages built from source: their build code reaches the network that this machine does.",
)
@connect.waits
async def serve(
    home: str | None,
    grpc: str | None,
    http: str | None,
    public_url: str | None,
    runner: str | None,
    ray_address: str | None,
    isolation: str | None,
    tls_names: tuple[str, ...],
    grpc_hosts: str | None,
    certificate_valid: str | None,
    network: str | None,
    limits: str | None,
    shares: str | None,
    egress_allow_private: tuple[str, ...],
    session_retention: str | None,
    event_retention: str | None,
    build_sdists: bool,
) -> int:
    """Run the coordinator. When it is ready it says so on stderr, with its addresses, and writes HOME/endpoint.json."""
    # gRPC reads it when it is imported. Without it each handshake that fails, which strangers can have as many of as
    # they like, is a line on stderr.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

    from perdure_server.app import interpreter
    from perdure_server.app.init import be_init

    be_init(sys.argv[1:])
    interpreter.start()
    settings = Settings.load()
    web = options.http_address(settings, http, public_url)
    names = _names(settings, tls_names)
    if web is not None:
        from perdure_server.web.wire import Behind

        behind = Behind.taken()
        if behind is None:
            from perdure_server.app.gateway import serve_with_gateway

            return await serve_with_gateway(Path(settings.text("home", home)), web, names, sys.argv[1:])
        from perdure_server.app.dying import die_with

        die_with(behind.gateway)
        web = replace(web, behind=behind)
    from perdure_server.app.entrance import Addresses
    from perdure_server.app.server import serve as run_server

    kind = settings.text("runner", runner)
    return await run_server(
        Path(settings.text("home", home)),
        Addresses(
            settings.text("grpc", grpc),
            settings.text("grpc_hosts", grpc_hosts),
            names,
            settings.number("certificate_valid", certificate_valid),
            web,
        ),
        runner=kind,
        isolation=settings.text("isolation", isolation) or "auto",
        docker=containers.docker_config(settings) if kind == "docker" else None,
        private=settings.text("egress_allow_private", ",".join(egress_allow_private) or None),
        ray_address=settings.text("ray_address", ray_address),
        settings=replace(
            _policy(settings, network, limits, shares),
            session_retention_s=settings.number("session_retention", session_retention),
            event_retention_s=settings.number("event_retention", event_retention),
            build_sdists=build_sdists,
        ),
    )


def _names(settings: Settings, tls_names: tuple[str, ...]) -> tuple[str, ...]:
    named = settings.text("tls_name", ",".join(tls_names) or None)
    return tuple(name for each in named.split(",") if (name := each.strip()))


def _policy(settings: Settings, network: str | None, limits: str | None, shares: str | None) -> Policy:
    """Raises `Problems`: P0102 unknown limit or share, P0103 wrong value."""
    from perdure_server.coordinator.settings import Settings as Policy
    from perdure_server.coordinator.shares import parse_shares
    from perdure_server.manifest.limits import parse_limits

    default: Mode = "all" if settings.text("network", network) == "all" else "none"
    ceiling, share = settings.text("limits", limits), settings.text("shares", shares)
    return Policy(
        default_network=default,
        ceiling=parse_limits(ceiling, "--limits") if ceiling else None,
        **(parse_shares(share, "--shares") if share else {}),
    )


@click.command()
@click.option("--coordinator", metavar="ADDR", help="HOST:PORT or unix:PATH of a coordinator on this machine.")
@click.option("--join", metavar="TOKEN|@FILE|-", help="A join token of a coordinator elsewhere; it is needed once.")
@click.option("--name", metavar="NAME", help="The host's name [default: the machine's and something random].")
@click.option("--state-dir", metavar="DIR", help="Where extracted builds are kept [default: .perdure-host].")
@click.option("--capacity", metavar="N", help="Sessions at once [default: 64].")
@click.option("--label", "labels", metavar="K=V", multiple=True, help="A label that sessions may ask for; repeatable.")
@click.option("--backend", type=click.Choice(containers.BACKENDS), help="What runners are [default: process].")
@options.ISOLATION
@options.EGRESS_ALLOW_PRIVATE
@connect.waits
async def host(
    coordinator: str | None,
    join: str | None,
    name: str | None,
    state_dir: str | None,
    capacity: str | None,
    labels: tuple[str, ...],
    backend: str | None,
    isolation: str | None,
    egress_allow_private: tuple[str, ...],
) -> int:
    """Run a host: it dials the coordinator, starts runners for it, and goes on dialling when the link is lost."""
    from perdure_runner.host.main import main

    from perdure_server.app import isolating
    from perdure_server.app.hosting import way_to
    from perdure_server.app.init import be_init

    be_init(sys.argv[1:])
    settings = Settings.load()
    docker = containers.docker_config(settings) if backend == "docker" else None
    folder = Path(settings.text("state_dir", state_dir))
    if docker is None:
        await isolating.require(settings.text("isolation", isolation) or "auto", folder)
    way = await way_to(coordinator, options.secret_text(join, "--join"), folder, name or "", settings.token())
    return await main(
        way.address,
        folder,
        capacity=int(settings.number("capacity", capacity)),
        labels=options.pairs(labels, "--label"),
        host_id=way.host_id,
        isolation=settings.text("isolation", isolation) or "auto",
        docker=docker,
        private=settings.text("egress_allow_private", ",".join(egress_allow_private) or None),
        dialler=way.dialler,
    )
