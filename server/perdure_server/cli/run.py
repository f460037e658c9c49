"""`perdure run` and `perdure resume`: sessions in an embedded coordinator, followed to their end."""

from __future__ import annotations

from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import builds, connect, fetch, options, render
from perdure_server.cli.follow import Follower, attend
from perdure_server.cli.main import EXIT_INTERRUPTED
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

ALIVE = ("created", "starting", "running", "waiting")
_ALL = 1_000_000

DETACH = click.option("--detach", is_flag=True, help="Leave when the session waits for long; it can be resumed.")


@click.command()
@click.argument("target")
@options.EVENT
@options.HOME
@options.NO_DURABLE
@options.PROJECT
@click.option("--var", "variables", metavar="K=V", multiple=True, help="Set a variable of the project; repeatable.")
@DETACH
@options.ISOLATION
@options.JSON
@connect.waits
async def run(
    target: str,
    event: str | None,
    home: str | None,
    no_durable: bool,
    project: str | None,
    variables: tuple[str, ...],
    detach: bool,
    isolation: str | None,
    as_json: bool,
) -> int:
    """Run a handler here, durably, and wait for its end.

    TARGET is a folder, FILE.py:HANDLER, or FOLDER:FILE.py:HANDLER. Interrupted or killed in the middle, the session
    can go on: `perdure resume`.
    """
    settings = Settings.load()
    payload, given = options.event(event), options.pairs(variables, "--var")
    source = builds.without_secrets_in(builds.resolve(target, project, given))
    place = Path(settings.text("home", home))
    async with connect.embedded(place, isolation=settings.text("isolation", isolation) or "own") as remote:
        built = await builds.send(remote, source, build_only=True)
        request = control.StartSessionRequest(
            project=built.project,
            build_id=built.build_id,
            entry_point=source.entry_point,
            event=payload,
            not_durable=no_durable,
        )
        started = await remote.start_session(request)
        follower = Follower(remote, started.session_id, as_json, detach, settings.number("wait_notice"))
        return await attend(follower, as_json, connect.resume_line(place, started.session_id))


@click.command()
@click.argument("session_id", metavar="[ID]", required=False)
@click.option("--all", "every", is_flag=True, help="All unfinished sessions, oldest first.")
@options.HOME
@DETACH
@options.JSON
@connect.waits
async def resume(session_id: str | None, every: bool, home: str | None, detach: bool, as_json: bool) -> int:
    """Finish what a killed or interrupted `run` began: session ID, or the newest unfinished one of the home.

    What the session printed before is not printed again (`perdure sessions logs` has it). Meanwhile the other
    unfinished sessions of the home go on too.
    """
    if every and session_id:
        raise click.UsageError("give either an ID or --all")
    settings = Settings.load()
    place = Path(settings.text("home", home))
    connect.require_home(place)
    async with connect.reading(settings, None, str(place)) as before:
        chosen = [session_id] if session_id else await _unfinished(before, every)
        shown = {each: await _last_line(before, each) for each in chosen}
    if not chosen:
        render.say(f"no unfinished session in {place}")
        return 0
    code = 0
    async with connect.embedded(place, recover=True) as remote:
        for each in chosen:
            follower = Follower(remote, each, as_json, detach, settings.number("wait_notice"), after=shown[each])
            code = max(code, await attend(follower, as_json, connect.resume_line(place, each)))
            if code == EXIT_INTERRUPTED:
                break
    return code


async def _unfinished(remote: connect.Control, every: bool) -> list[str]:
    """Ids of the sessions that have not ended: all, oldest first, or the newest alone."""
    alive = await fetch.sessions(remote, _ALL if every else 1, states=ALIVE)
    return [session.session_id for session in reversed(alive)]


async def _last_line(remote: connect.Control, session_id: str) -> tuple[int, int]:
    """Place of the last line that the session has printed so far. Raises P0204 (unknown) or P0205 (ended)."""
    session = await remote.get_session(control.GetSessionRequest(session_id=session_id))
    if session.state not in ALIVE:
        raise PerdureError(
            "P0205", f"session {session_id} has ended: {session.state}", help=f"perdure sessions show {session_id}"
        )
    place = (0, -1)
    async for line in remote.get_logs(control.GetLogsRequest(session_id=session_id)):
        place = (line.ordinal, line.index)
    return place
