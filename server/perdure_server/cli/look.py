"""`perdure sessions list, show, history, logs, watch`: reading."""

from __future__ import annotations

import datetime as dt

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, fetch, options, render
from perdure_server.cli.reasons import reasons_of
from perdure_server.cli.settings import Settings

STATES = ("created", "starting", "running", "waiting", "completed", "failed", "stopped", "diverged")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@click.command()
@options.OF_PROJECT
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only in this state; repeatable.")
@click.option("--limit", metavar="N", help="At most N sessions [default: 50].")
@options.where
@options.JSON
@connect.waits
async def list_sessions(
    project: str | None, states: tuple[str, ...], limit: str | None, server: str | None, home: str | None, as_json: bool
) -> None:
    """List sessions, newest first: of all projects, unless one is named."""
    settings = Settings.load()
    wanted = int(settings.number("list_limit", limit))
    async with connect.reading(settings, server, home) as remote:
        found = await fetch.sessions(remote, wanted, project=project or "", states=states)
    if as_json:
        documents.emit([documents.summary(session) for session in found])
    else:
        render.sessions(found, _now())


@click.command()
@options.SESSION
@options.where
@options.JSON
@connect.waits
async def show(session_id: str, server: str | None, home: str | None, as_json: bool) -> None:
    """Show one session: state, calls, output, error."""
    async with connect.reading(Settings.load(), server, home) as remote:
        whole = await fetch.whole(remote, await fetch.named(remote, session_id))
    if as_json:
        documents.emit(documents.session(whole.session, whole.entries, whole.logs, whole.sides))
    else:
        render.session(whole.session, whole.entries, whole.logs, _now(), whole.sides)


@click.command()
@options.SESSION
@click.option("--after", metavar="SEQ", type=click.IntRange(0), default=0, help="Only rows after this one.")
@click.option("--limit", metavar="N", type=click.IntRange(1), default=None, help="At most N rows.")
@click.option("--why", is_flag=True, help="Add why each call is recorded.")
@options.where
@options.JSON
@connect.waits
async def history(
    session_id: str, after: int, limit: int | None, why: bool, server: str | None, home: str | None, as_json: bool
) -> None:
    """Show the rows of a session's journal."""
    async with connect.reading(Settings.load(), server, home) as remote:
        session_id = await fetch.named(remote, session_id)
        request = control.GetHistoryRequest(session_id=session_id, after_seq=after, limit=limit or 0, with_data=as_json)
        reasons = await reasons_of(remote, session_id) if why else None
        if as_json:
            async for entry in remote.get_history(request):
                more = {"why": reasons.of(entry)} if reasons else {}
                documents.emit_line(documents.entry(entry) | more)
        else:
            render.history([entry async for entry in remote.get_history(request)], reasons.of if reasons else None)


@click.command()
@options.SESSION
@click.option("-f", "--follow", is_flag=True, help="Go on until the session ends.")
@click.option("--limit", metavar="N", type=click.IntRange(1), default=None, help="At most N lines.")
@options.where
@options.JSON
@connect.waits
async def logs(
    session_id: str, follow: bool, limit: int | None, server: str | None, home: str | None, as_json: bool
) -> None:
    """Show what a session printed and logged."""
    async with connect.reading(Settings.load(), server, home) as remote:
        session_id = await fetch.named(remote, session_id)
        request = control.GetLogsRequest(session_id=session_id, follow=follow, limit=limit or 0)
        async for line in remote.get_logs(request):
            if as_json:
                documents.emit_line(documents.log(line))
            else:
                render.show(render.log_line(line))


@click.command()
@options.SESSION
@options.where
@options.JSON
@connect.waits
async def watch(session_id: str, server: str | None, home: str | None, as_json: bool) -> None:
    """Follow a session until it ends: changes of its state, its calls and its output."""
    async with connect.reading(Settings.load(), server, home) as remote:
        session_id = await fetch.named(remote, session_id)
        request = control.WatchSessionRequest(session_id=session_id, until_done=True)
        async for update in remote.watch_session(request):
            if as_json:
                documents.emit_line(documents.update(update))
            else:
                render.update(update, _now())
