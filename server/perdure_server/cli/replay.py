"""`perdure sessions replay`: run a session's code against its journal; nothing outside happens."""

from __future__ import annotations

from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import runner_pb2 as runner

from perdure_server.cli import builds, connect, documents, fetch, options, render
from perdure_server.cli.settings import Settings

EXIT_DIVERGED = 4


@click.command()
@options.SESSION
@click.option(
    "--build", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Replay with this folder's code."
)
@click.option("--pdb", is_flag=True, help="Stop in the debugger where the journal ends or the code differs.")
@options.where
@options.JSON
@connect.waits
async def replay(
    session_id: str, folder: Path | None, pdb: bool, server: str | None, home: str | None, as_json: bool
) -> int:
    """Replay session ID, read-only, on its own build or on the code of a folder.

    With --build it answers: would this change of the code break the session? Exit code 4 when it would.
    """
    if pdb and (server or as_json):
        raise click.UsageError("--pdb is for people at a home of this machine: neither --server nor --json")
    settings = Settings.load()
    if pdb:
        async with connect.reading(settings, None, home) as remote:
            session_id = await fetch.named(remote, session_id)
        answer = await _at_the_terminal(Path(settings.text("home", home)), session_id, folder)
    else:
        async with connect.writing(settings, server, home) as remote:
            session_id, build_id = await fetch.named(remote, session_id), ""
            if folder is not None:
                build_id = (await builds.send(remote, builds.folder(folder, None), build_only=True)).build_id
            request = control.ReplaySessionRequest(session_id=session_id, build_id=build_id)
            answer = await remote.replay_session(request)
    agrees = answer.done.state != runner.DONE_STATE_DIVERGED
    if as_json:
        documents.emit(documents.replay(session_id, answer))
    else:
        render.replayed(session_id, answer)
    return 0 if agrees else EXIT_DIVERGED


async def _at_the_terminal(home: Path, session_id: str, folder: Path | None) -> control.ReplaySessionResponse:
    """The journal's key is in the home: this needs it here, a server's answer would not do."""
    from perdure_server.cli import foreground

    connect.require_home(home)
    done, entries = await foreground.replay(home, session_id, folder)
    return control.ReplaySessionResponse(done=done, entries=entries)
