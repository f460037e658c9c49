"""`perdure deploy` and `perdure start`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import builds, connect, deployments, documents, options, preflight, recordings, render, scanning
from perdure_server.cli.follow import Follower, attend
from perdure_server.cli.settings import Settings
from perdure_server.cli.vars import PROJECT, project_here
from perdure_server.core.errors import PerdureError, exit_code

_BEFORE = "before"  # stands for the deployment before the active one


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@options.PROJECT
@click.option("--preflight", "check", is_flag=True, help="Refuse a build that would break a session that runs now.")
@click.option("--force", is_flag=True, help="With --preflight: deploy all the same.")
@click.option(
    "--rollback",
    metavar="[DEPLOYMENT]",
    is_flag=False,
    flag_value=_BEFORE,
    help="Make an older deployment live again [default: the one before the active one].",
)
@click.option("--upgrade", is_flag=True, help="Resolve the requirements anew, though they did not change.")
@options.where
@options.JSON
@connect.waits
async def deploy(
    folder: Path | None,
    project: str | None,
    check: bool,
    force: bool,
    rollback: str | None,
    upgrade: bool,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> int:
    """Build a folder (default: the current one, if it has a manifest), check it and make it live.

    With --preflight, all sessions of the project that have not ended are replayed on the new build first, read-only.
    """
    if force and not check:
        raise click.UsageError("--force goes with --preflight")
    settings = Settings.load()
    if rollback is not None:
        if folder or check or upgrade:
            raise click.UsageError("--rollback deploys no folder: it goes with --project alone")
        named = "" if rollback == _BEFORE else rollback
        await deployments.roll_back(settings, project_here(settings, project), named, server, home, as_json)
        return 0
    folder = folder or _here()
    source = builds.folder(folder, settings.text("project", project))
    tarball = builds.packed(source)
    flown: preflight.Preflight | None = None
    looking = asyncio.create_task(_recordings(source))
    async with connect.writing(settings, server, home) as remote:
        if check:
            flying = await builds.send(remote, source, build_only=True, tarball=tarball, upgrade=upgrade)
            build_id, upgrade = flying.build_id, False
            flown = await preflight.fly(remote, source.project, build_id, str(folder))
            if not as_json:
                preflight.report(flown)
            if flown.broken and not force:
                return _refused(flown, as_json)
        began = time.perf_counter()
        made = await builds.send(remote, source, build_only=False, tarball=tarball, upgrade=upgrade)
        took_ms = (time.perf_counter() - began) * 1e3
        unset = await builds.lacks(remote, source)
    for fault in (*unset, *builds.unreadable(source)):
        render.warning(fault)
    _show(made, took_ms, await looking, flown, as_json)
    return 0


def _here() -> Path:
    """The current folder, when it says that it is a project: nobody means to deploy a home by a slip of the hand."""
    from perdure_server.manifest.manifest import has_manifest

    if not has_manifest(Path()):
        raise click.UsageError("there is no perdure.yaml or autokitteh.yaml here: name the folder, this one as `.`")
    return Path()


def _show(
    made: control.DeployResponse,
    took_ms: float,
    found: recordings.Recordings | None,
    flown: preflight.Preflight | None,
    as_json: bool,
) -> None:
    """What is live now, and what its sessions will record."""
    if as_json:
        more = {"preflight": preflight.document(flown)} if flown else {}
        report = recordings.document(found) if found else None
        documents.emit(documents.deployment(made) | {"took_ms": round(took_ms, 1), "report": report} | more)
        return
    render.deployment(made)
    for line in recordings.lines(found) if found else ():
        render.say(line)


async def _recordings(source: builds.Source) -> recordings.Recordings | None:
    """What sessions will record, as far as the source tells; None where it cannot be looked at."""
    try:
        return recordings.of(await scanning.scan(source.folder))
    except PerdureError as error:
        render.say(f"no report of what is recorded: {error.message}")
        return None


def _refused(flown: preflight.Preflight, as_json: bool) -> int:
    error = preflight.refusal(flown)
    if as_json:
        problem = {"code": error.code, "message": error.message, "help": error.help}
        documents.emit({"deployment_id": None, "error": problem, "preflight": preflight.document(flown)})
    else:
        render.problem(error)
    return exit_code(error)


@click.command()
@click.argument("entry")
@PROJECT
@options.EVENT
@options.NO_DURABLE
@click.option("--wait", is_flag=True, help="Stay with the session to its end, as `run` does.")
@click.option("--detach", is_flag=True, help="With --wait: leave when the session waits for long.")
@options.where
@options.JSON
@connect.waits
async def start(
    entry: str,
    project: str | None,
    event: str | None,
    no_durable: bool,
    wait: bool,
    detach: bool,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> int:
    """Start a session at ENTRY (FILE.py:HANDLER) of a deployed project."""
    settings = Settings.load()
    request = control.StartSessionRequest(
        project=project_here(settings, project),
        entry_point=entry,
        event=options.event(event),
        not_durable=no_durable,
    )
    async with connect.writing(settings, server, home) as remote:
        started = await remote.start_session(request)
        again = connect.again_line(settings, server, home, started.session_id)
        if wait:
            follower = Follower(remote, started.session_id, as_json, detach, settings.number("wait_notice"))
            return await attend(follower, as_json, again)
    if as_json:
        documents.emit({"session_id": started.session_id, "state": started.state})
    else:
        render.show(f"{started.session_id} {render.state(started.state)}")
        render.say(again)
    return 0
