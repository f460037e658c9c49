"""`perdure dev`: a coordinator and a host for one folder, deployed again whenever it changes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import builds, connect, containers, fetch, options, render
from perdure_server.cli.follow import Follower
from perdure_server.cli.interrupts import until_interrupted
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

HTTP = "127.0.0.1:9980"
"""Where `dev` listens, or on any other port if this one is taken."""
POLL_S = 0.3
"""How often `dev` looks for new sessions: their list has no stream."""
_NEWEST = 50
_IGNORED = frozenset({"__pycache__", ".git", ".venv", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path())
@options.HOME
@click.option("--grpc", metavar="ADDR", help="HOST:PORT or unix:PATH to listen on; port 0: any [default: 127.0.0.1:0].")
@options.HTTP
@options.PUBLIC_URL
@options.PROJECT
@options.ISOLATION
@connect.waits
async def dev(
    folder: Path,
    home: str | None,
    grpc: str | None,
    http: str | None,
    public_url: str | None,
    project: str | None,
    isolation: str | None,
) -> None:
    """Serve a folder and deploy it again whenever it changes; show what its sessions print. Ctrl-C ends it."""
    from perdure_server.app.entrance import Addresses
    from perdure_server.app.server import serving
    from perdure_server.coordinator.settings import Settings as Policy

    settings = Settings.load()
    place = Path(settings.text("home", home))
    source = builds.folder(folder, settings.text("project", project))
    held = settings.text("isolation", isolation) or "own"
    policy = Policy(default_network="all")  # it is the developer's own code
    web = options.http_address(settings, http, public_url, default=HTTP)
    at = Addresses(settings.text("grpc", grpc), http=web)
    kind = settings.text("runner")
    docker = containers.docker_config(settings) if kind == "docker" else None
    async with serving(place, at, runner=kind, isolation=held, docker=docker, settings=policy) as opened:
        remote = opened.control
        if not await _deploy(remote, source):
            render.say("waiting for a change")
        render.say(f"ready grpc={opened.grpc} http={opened.http} journal={place / 'perdure.db'}")
        render.say(f"try: perdure start FILE.py:HANDLER --project {source.project} --home {place}")
        await until_interrupted(_redeploy(remote, source, place, settings.number("debounce")), _show_sessions(remote))


async def _deploy(remote: connect.Control, source: builds.Source) -> bool:
    """Deploy and say so in one line; False, with the error shown, when the folder has faults."""
    try:
        made = await builds.send(remote, builds.folder(source.folder, source.project), build_only=False)
        unset = await builds.lacks(remote, source)
    except PerdureError as error:
        render.problem(error)
        return False
    for fault in (*unset, *builds.unreadable(source)):
        render.warning(fault)
    names = ", ".join(f"{export.file}:{export.name}" for export in made.exports)
    render.say(f"deployed {made.project} {made.build_id[:12]}: {names or 'no entry point'}")
    for trigger in made.triggers:
        render.say(f"  {_trigger(trigger)}")
    return True


def _trigger(trigger: control.Trigger) -> str:
    """One line: what it waits for, and what it starts."""
    waits_for = {"webhook": trigger.url, "schedule": f"{trigger.schedule} {trigger.timezone}".rstrip()}
    about = waits_for.get(trigger.type) or " ".join(filter(None, (trigger.connection, trigger.event_type)))
    return f"{trigger.type} {trigger.name}: {about} -> {trigger.entry_point or 'subscribers'}"


async def _redeploy(remote: connect.Control, source: builds.Source, home: Path, debounce_s: float) -> None:
    from watchfiles import awatch

    async for _ in awatch(source.folder, watch_filter=_Matters(home), debounce=max(1, int(debounce_s * 1000))):
        await _deploy(remote, source)


class _Matters:
    """Which changed files ask for a new build: not those of caches, of environments, of the home itself, and what we
    say ourselves: `perdure dev > dev.log` in the folder would deploy for ever."""

    def __init__(self, home: Path) -> None:
        self._home = home.resolve()

    def __call__(self, _: object, path: str) -> bool:
        return not (_IGNORED.intersection(Path(path).parts) or self._home in Path(path).parents or _is_ours(path))


def _is_ours(path: str) -> bool:
    """Is it the file that stdout or stderr of this process goes to?"""
    try:
        it = os.stat(path)
        return any(os.path.samestat(it, os.fstat(stream)) for stream in (1, 2))
    except OSError:
        return False


async def _show_sessions(remote: connect.Control) -> None:
    """Follow every session that begins from now on, each line marked with the session it came from."""
    known = {session.session_id for session in await fetch.sessions(remote, _NEWEST)}
    async with asyncio.TaskGroup() as group:
        while True:
            for session in reversed(await fetch.sessions(remote, _NEWEST)):
                if session.session_id not in known:
                    known.add(session.session_id)
                    group.create_task(_show_session(remote, session.session_id))
            await asyncio.sleep(POLL_S)


async def _show_session(remote: connect.Control, session_id: str) -> None:
    await Follower(remote, session_id, prefix=f"[{session_id[-8:]}] ").watch()
    session = await remote.get_session(control.GetSessionRequest(session_id=session_id))
    render.ending(session, await fetch.sides(remote, session))
