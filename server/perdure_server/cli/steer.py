"""`perdure sessions stop, signal, fork`: changing what a session does."""

from __future__ import annotations

from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import builds, connect, documents, fetch, options, render
from perdure_server.cli.follow import Follower
from perdure_server.cli.settings import Settings


@click.command()
@options.SESSION
@click.option("--force", is_flag=True, help="Kill at once; user code cleans up nothing.")
@click.option("--grace", metavar="SECONDS", help="How long user code may clean up [default: 10].")
@click.option("--reason", metavar="TEXT", default="", help="Why; user code and the journal see it.")
@options.where
@options.JSON
@connect.waits
async def stop(
    session_id: str,
    force: bool,
    grace: str | None,
    reason: str,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> None:
    """Stop a session: perdure.Cancelled is raised in user code, which may clean up; then it is killed."""
    settings = Settings.load()
    request = control.StopSessionRequest(
        session_id=session_id, force=force, grace_s=settings.number("grace", grace), reason=reason
    )
    nobody_serves = connect.address(settings, server, Path(settings.text("home", home))) is None
    async with connect.writing(settings, server, home) as remote:
        session_id = request.session_id = await fetch.named(remote, session_id)
        state = (await remote.stop_session(request)).state
        if nobody_serves:  # then only this command can let user code clean up
            await Follower(remote, session_id, quiet=True).watch()
            state = (await remote.get_session(control.GetSessionRequest(session_id=session_id))).state
    _answer(session_id, state, as_json)


@click.command()
@options.SESSION
@click.argument("name", required=False)
@click.argument("payload", metavar="[JSON]", required=False)
@click.option("--wake", is_flag=True, help="Fire the timer that the session waits for, now.")
@options.where
@options.JSON
@connect.waits
async def signal(
    session_id: str,
    name: str | None,
    payload: str | None,
    wake: bool,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> None:
    """Send signal NAME with a payload (JSON, @FILE or -), or wake a session that sleeps."""
    if wake == (name is not None):
        raise click.UsageError("give either the NAME of a signal or --wake")
    request = control.SignalSessionRequest(
        session_id=session_id,
        name=name or "",
        payload=b"" if wake else options.event(payload, "the payload"),
        wake=wake,
    )
    async with connect.writing(Settings.load(), server, home) as remote:
        session_id = request.session_id = await fetch.named(remote, session_id)
        answer = await remote.signal_session(request)
    _answer(session_id, answer.state, as_json)


@click.command()
@options.SESSION
@click.option("--from", "from_seq", metavar="SEQ", type=click.IntRange(0), required=True, help="Last shared entry.")
@click.option("--build", metavar="DIGEST", help="Go on with this build.")
@click.option("--from-dir", metavar="DIR", type=click.Path(path_type=Path), help="Go on with a build of this folder.")
@options.where
@options.JSON
@connect.waits
async def fork(
    session_id: str,
    from_seq: int,
    build: str | None,
    from_dir: Path | None,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> None:
    """Begin a new session that shares the history of session ID up to entry SEQ."""
    if build and from_dir:
        raise click.UsageError("give either --build or --from-dir")
    settings = Settings.load()
    async with connect.writing(settings, server, home) as remote:
        if from_dir is not None:
            build = (await builds.send(remote, builds.folder(from_dir, None), build_only=True)).build_id
        session_id = await fetch.named(remote, session_id)
        request = control.ForkSessionRequest(session_id=session_id, from_seq=from_seq, build_id=build or "")
        answer = await remote.fork_session(request)
    _answer(answer.session_id, answer.state, as_json)
    if not as_json:
        render.say(connect.again_line(settings, server, home, answer.session_id))


def _answer(session_id: str, state: str, as_json: bool) -> None:
    if as_json:
        documents.emit({"session_id": session_id, "state": state})
    else:
        render.show(f"{session_id} {render.state(state)}")
