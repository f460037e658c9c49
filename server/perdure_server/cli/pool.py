"""`perdure hosts list, show, drain`: what a coordinator's pool of hosts is like, and emptying one of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import click
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1.runner_pb2 import HostHealth, RunnerHealth

from perdure_server.cli import connect, documents, fetch, options, render
from perdure_server.cli.settings import Settings
from perdure_server.cli.text import clean
from perdure_server.core.errors import PerdureError, did_you_mean

HOST = click.argument("host_id", metavar="HOST")
ON_A_HOST = ("starting", "running", "waiting")  # states of sessions that can have a runner
MOST_SHOWN = 200
"""Sessions whose runners `show` asks for."""

_MIB = 1024 * 1024


@click.command()
@options.where
@options.JSON
@connect.waits
async def list_hosts(server: str | None, home: str | None, as_json: bool) -> None:
    """List the hosts that are connected to a running coordinator."""
    async with connect.reading(Settings.load(), server, home) as remote:
        found = (await remote.list_hosts(control.ListHostsRequest())).hosts
    if as_json:
        documents.emit([document(host) for host in found])
    elif not found:
        render.say("no hosts")
    else:
        now = _now_us()
        headings = ("HOST", "STATE", "SESSIONS", "LOAD", "MEMORY FREE", "ISOLATION", "LABELS", "HEARD")
        render.table(headings, (_row(host, now) for host in found))


@click.command()
@HOST
@options.where
@options.JSON
@connect.waits
async def show(host_id: str, server: str | None, home: str | None, as_json: bool) -> None:
    """Show one host, the sessions that it runs, and how their runners are."""
    async with connect.reading(Settings.load(), server, home) as remote:
        hosts = (await remote.list_hosts(control.ListHostsRequest())).hosts
        host = next((each for each in hosts if each.host_id == host_id), None)
        if host is None:
            hint = did_you_mean(host_id, [each.host_id for each in hosts])
            raise PerdureError("P0218", f"unknown host {host_id!r}", help=hint or "`perdure hosts list` shows all")
        sessions = await fetch.sessions(remote, MOST_SHOWN, states=ON_A_HOST)
        runners = [(each, await _health(remote, each)) for each in sessions if each.host_id == host_id]
    if as_json:
        documents.emit(document(host) | {"runners": [_runner(*each) for each in runners]})
    else:
        _show(host, runners)


@click.command()
@HOST
@click.option("--move", is_flag=True, help="Have its running sessions go on elsewhere, by replay.")
@options.where
@options.JSON
@connect.waits
async def drain(host_id: str, move: bool, server: str | None, home: str | None, as_json: bool) -> None:
    """Place nothing on a host any more. Its process ends, with exit code 0, when its last session has gone.

    Sessions that run there end there; with --move they go on elsewhere at once. One without a journal always stays.
    """
    settings = Settings.load()
    async with connect.writing(settings, server, home) as remote:
        left = (await remote.drain_host(control.DrainHostRequest(host_id=host_id, move=move))).sessions
    if as_json:
        documents.emit({"host_id": host_id, "sessions": left})
    else:
        rest = "it is empty" if not left else f"{left} sessions {'move' if move else 'end there'}"
        render.show(f"{host_id} drains: {rest}")


async def _health(remote: connect.Control, session: control.Session) -> RunnerHealth:
    """How a session's runner is; nothing where the host does not say."""
    try:
        return await remote.get_runner_health(control.GetRunnerHealthRequest(session_id=session.session_id))
    except PerdureError:
        return RunnerHealth()


# As JSON.


def document(host: control.Host) -> dict[str, Any]:
    """A host as `--json` shows it. Times are RFC 3339, sizes are bytes."""
    return {
        "host_id": host.host_id,
        "state": host.state,
        "sessions": host.sessions,
        "capacity": host.capacity,
        "version": host.version,
        "pid": host.pid,
        "peer": host.peer,
        "isolation": host.isolation,
        "labels": dict(sorted(host.labels.items())),
        "pythons": list(host.pythons),
        "health": _health_document(host.health) if host.HasField("health") else None,
        "heard_at": documents.timestamp(host.heard_us),
        "certificate_until": documents.timestamp(host.certificate_until_us),
    }


def _health_document(health: HostHealth) -> Mapping[str, Any]:
    return {
        "load": round(health.load, 2),
        "memory_available_bytes": health.memory_available_bytes,
        "disk_free_bytes": health.disk_free_bytes,
        "environments": list(health.environments),
    }


def _runner(session: control.Session, health: RunnerHealth) -> Mapping[str, Any]:
    return {
        "session_id": session.session_id,
        "state": session.state,
        "pid": health.pid or session.runner_pid,
        "memory_bytes": health.memory_bytes,
        "processes": health.processes,
        "cpu_s": round(health.cpu_s, 2),
    }


# For people.


def _row(host: control.Host, now_us: int) -> tuple[str, ...]:
    health = host.health if host.HasField("health") else None
    return (
        host.host_id,
        host.state,
        f"{host.sessions}/{host.capacity}",
        f"{health.load:.2f}" if health else "",
        _mib(health.memory_available_bytes) if health else "",
        host.isolation,
        _labels(host),
        _ago(host.heard_us, now_us),
    )


def _show(host: control.Host, runners: Sequence[tuple[control.Session, RunnerHealth]]) -> None:
    health = host.health if host.HasField("health") else None
    facts = [
        ("host", host.host_id),
        ("state", host.state),
        ("sessions", f"{host.sessions} of {host.capacity}"),
        ("version", host.version),
        ("process", str(host.pid or "")),
        ("dialled in", host.peer),
        ("certificate", documents.timestamp(host.certificate_until_us) or ""),
        ("isolation", host.isolation),
        ("pythons", ", ".join(host.pythons)),
        ("labels", _labels(host)),
        ("load", f"{health.load:.2f} a processor" if health else ""),
        ("memory free", _mib(health.memory_available_bytes) if health else ""),
        ("disk free", _mib(health.disk_free_bytes) if health else ""),
        ("environments", str(len(health.environments)) if health else ""),
        ("heard", _ago(host.heard_us, _now_us())),
    ]
    for name, value in facts:
        if value:
            render.show(f"{name:<12} {clean(value)}")
    if runners:
        render.show()
        headings = ("SESSION", "STATE", "PID", "MEMORY", "PROCESSES", "CPU")
        render.table(headings, (_runner_row(*each) for each in runners))


def _runner_row(session: control.Session, health: RunnerHealth) -> tuple[str, ...]:
    return (
        session.session_id,
        session.state,
        str(health.pid or session.runner_pid or ""),
        _mib(health.memory_bytes) if health.state else "",
        str(health.processes) if health.state else "",
        f"{health.cpu_s:.1f} s" if health.state else "",
    )


def _labels(host: control.Host) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(host.labels.items()))


def _mib(size: int) -> str:
    return f"{size // _MIB} MiB"


def _ago(at_us: int, now_us: int) -> str:
    return f"{max(0, now_us - at_us) / 1e6:.1f} s ago" if at_us else ""


def _now_us() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp() * 1e6)
