"""`perdure sessions replay`: run a session's code against its journal; nothing outside happens."""

from __future__ import annotations

from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import runner_pb2 as runner

from perdure_server.cli import builds, connect, documents, options, render
from perdure_server.cli.settings import Settings

EXIT_DIVERGED = 4


@click.command()
@options.SESSION
@click.option(
    "--build", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Replay with this folder's code."
)
@options.where
@options.JSON
@connect.waits
async def replay(session_id: str, folder: Path | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Replay session ID, read-only, on its own build or on the code of a folder.

    With --build it answers: would this change of the code break the session? Exit code 4 when it would.
    """
    settings = Settings.load()
    async with connect.writing(settings, server, home) as remote:
        build_id = ""
        if folder is not None:
            build_id = (await builds.send(remote, builds.folder(folder, None), build_only=True)).build_id
        answer = await remote.replay_session(control.ReplaySessionRequest(session_id=session_id, build_id=build_id))
    done = answer.done
    agrees = done.state != runner.DONE_STATE_DIVERGED
    if as_json:
        documents.emit(documents.replay(session_id, answer))
    elif agrees and not done.HasField("error"):
        render.show(f"replays: {answer.entries} entries, no difference")
    elif agrees:
        render.show(f"replays: {answer.entries} entries, no difference; it ends as recorded, with an error:")
        render.show(render.failure(done.error))
    else:
        render.show(render.divergence(done.divergence, session_id))
    return 0 if agrees else EXIT_DIVERGED
