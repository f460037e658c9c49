"""`perdure sessions replay`: run a session's code against its journal; nothing outside happens."""

from __future__ import annotations

from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import runner_pb2 as runner

from perdure_server.cli import builds, connect, documents, fetch, options, preflight, render
from perdure_server.cli.settings import Settings
from perdure_server.core.divergence import Sides

EXIT_DIVERGED = 4


@click.command()
@click.argument("session_id", metavar="[ID]", required=False, shell_complete=options.complete_sessions)
@click.option("--all", "every", is_flag=True, help="With --build: all sessions of the project that have not ended.")
@options.PROJECT
@click.option(
    "--build", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Replay with this folder's code."
)
@click.option("--pdb", is_flag=True, help="Stop in the debugger where the journal ends or the code differs.")
@options.where
@options.JSON
@connect.waits
async def replay(
    session_id: str | None,
    every: bool,
    project: str | None,
    folder: Path | None,
    pdb: bool,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> int:
    """Replay session ID, read-only, on its own build or on the code of a folder.

    With --build it answers: would this change of the code break the session? With --all: any session that has not
    ended? Exit code 4 when it would.
    """
    if pdb and (server or as_json):
        raise click.UsageError("--pdb is for people at a home of this machine: neither --server nor --json")
    settings = Settings.load()
    if every:
        if session_id or pdb or folder is None:
            raise click.UsageError("--all goes with --build DIR, and with neither an ID nor --pdb")
        return await _all(settings, builds.folder(folder, settings.text("project", project)), server, home, as_json)
    if session_id is None:
        raise click.UsageError("name a session, or --all of them")
    sides = Sides()
    if pdb:
        async with connect.reading(settings, None, home) as remote:
            session_id = await fetch.named(remote, session_id)
        answer = await _at_the_terminal(Path(settings.text("home", home)), session_id, folder)
    else:
        async with connect.writing(settings, server, home) as remote:
            session_id, build_id = await fetch.named(remote, session_id), ""
            recorded = (await remote.get_session(control.GetSessionRequest(session_id=session_id))).build_id
            if folder is not None:
                build_id = (await builds.send(remote, builds.folder(folder, None), build_only=True)).build_id
            sides = Sides(recorded, build_id or recorded, str(folder or ""))
            request = control.ReplaySessionRequest(session_id=session_id, build_id=build_id)
            answer = await remote.replay_session(request)
    agrees = answer.done.state != runner.DONE_STATE_DIVERGED
    if as_json:
        documents.emit(documents.replay(session_id, answer, sides))
    else:
        render.replayed(session_id, answer, sides)
    return 0 if agrees else EXIT_DIVERGED


async def _all(settings: Settings, source: builds.Source, server: str | None, home: str | None, as_json: bool) -> int:
    """Every session of the project that has not ended, on the code of a folder."""
    async with connect.writing(settings, server, home) as remote:
        build_id = (await builds.send(remote, source, build_only=True)).build_id
        flown = await preflight.fly(remote, source.project, build_id, str(source.folder))
    if as_json:
        documents.emit(preflight.document(flown))
    else:
        preflight.report(flown)
    return EXIT_DIVERGED if flown.broken else 0


async def _at_the_terminal(home: Path, session_id: str, folder: Path | None) -> control.ReplaySessionResponse:
    """The journal's key is in the home: this needs it here, a server's answer would not do."""
    from perdure_server.cli import foreground

    connect.require_home(home)
    done, entries = await foreground.replay(home, session_id, folder)
    return control.ReplaySessionResponse(done=done, entries=entries)
