"""`perdure` in this process: what the fork server runs where a test needs many commands, and no process that starts."""

from __future__ import annotations

import sys

from perdure_server.cli.compare import Run
from perdure_server.cli.laboratory import Found, Laboratory
from perdure_server.cli.main import invoke


def perdure(arguments: list[str], kills: int = 0) -> int:
    """Run one command; its exit code. `kills`: so many at most does `check` make, spread over the entries; 0: all."""
    if kills:
        _kill_only(kills)
    code = invoke(arguments)
    sys.stdout.flush()
    return code


def _kill_only(kills: int) -> None:
    """In this process, which is forked for one command."""
    killed = Laboratory.killed

    async def now_and_then(self: Laboratory, after: int, reference: Run) -> list[Found]:
        entries = max(call.seq for call in reference.calls)
        chosen = after * kills // entries > (after - 1) * kills // entries  # the last one is
        return await killed(self, after, reference) if chosen else []

    Laboratory.killed = now_and_then  # type: ignore[method-assign]  # that this may be done, mypy cannot know
