"""How a host holds its runners: what was asked for, what this machine is able to do, and why not more.

docs/explanation/isolation.md says what each kind keeps from whom.
"""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perdure_runner.host import launch
from perdure_runner.host.backend import BackendError
from perdure_runner.host.bubblewrap import Shown, tool, trial
from perdure_runner.host.config import HostConfig, Profile

KINDS = ("namespaces", "bubblewrap", "landlock", "plain")
"""From the strongest to none."""
CHOICES = ("auto", "strict", *KINDS)
"""What may be asked for: the best there is, nothing less than namespaces, or one of the kinds."""
_PROBE_S = 20.0
_BWRAP = (
    *("--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--ro-bind", "/", "/", "--proc", "/proc"),
    *("--size", "65536", "--tmpfs", "/dev", "true"),  # old ones, and those with a set-user-id bit, know no size
)


class IsolationError(BackendError):
    """This machine cannot hold runners as it was asked to. The message says why."""

    code = "P0213"


@dataclass(frozen=True, slots=True)
class Survey:
    """What can be had: `reasons` has for each kind why it cannot, "" if it can. `shown`: what the interpreter needs;
    what bubblewrap lacks was only tried if there is nothing better, or it is asked for."""

    reasons: Mapping[str, str]
    shown: Shown


@dataclass(frozen=True, slots=True)
class Chosen:
    """The kind, "own" included, and lines for people about what could not be had."""

    kind: str
    notes: Sequence[str] = ()


async def choose(config: HostConfig, python: str) -> Chosen:
    """Decide how runners are held.

    Raises:
        IsolationError: what was asked for cannot be had.
    """
    if config.profile is Profile.OWN:
        return Chosen("own")
    if config.isolation == "plain":
        return Chosen("plain", (_alarm("it was asked for"),))
    found = await survey(config, python)
    chosen = decide(config.isolation, found.reasons)
    if chosen.kind == "bubblewrap" and found.shown.unlimited:
        return Chosen(chosen.kind, (*chosen.notes, f"perdure: {found.shown.unlimited}"))
    return chosen


def decide(asked: str, reasons: Mapping[str, str]) -> Chosen:
    """As `choose`, for strangers' code, from what is known of the machine, but for what bubblewrap lacks."""
    wanted = "namespaces" if asked == "strict" else asked
    if wanted != "auto":
        if why := reasons[wanted]:
            raise IsolationError(f"isolation {asked!r} cannot be had: {why}; `perdure doctor` says what can")
        return Chosen(wanted)
    kind = next(kind for kind in KINDS if not reasons.get(kind, ""))
    stronger = "; ".join(f"{other}: {reasons[other]}" for other in KINDS[: KINDS.index(kind)])
    if kind == "plain":
        return Chosen(kind, (_alarm(stronger),))
    return Chosen(kind, (f"perdure: runners are held by {kind} only ({stronger})",) if stronger else ())


async def survey(config: HostConfig, python: str) -> Survey:
    """Try what this machine lets us do. Nothing is left behind."""
    probed, bubblewrap = await asyncio.gather(_probe(config, python), _try_bubblewrap())
    reasons = {**probed["reasons"], "bubblewrap": bubblewrap, "plain": ""}
    wanted = bool(reasons["namespaces"]) or config.isolation == "bubblewrap"
    unlimited = await _try_limits(config, python) if wanted and not bubblewrap else ""
    shown = Shown(probed["shown"], probed["network"], bytes.fromhex(probed["filter"]), unlimited)
    return Survey({kind: reasons[kind] for kind in KINDS}, shown)


def say(notes: Sequence[str]) -> None:
    """Tell whoever started the host."""
    for note in notes:
        print(note, file=sys.stderr, flush=True)


async def _probe(config: HostConfig, python: str) -> dict[str, Any]:
    """Have a fresh interpreter be a zygote and a session; this process must never be forked."""
    launch.home(config).mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *launch.command(config, python, "probe", f"--state={config.state_dir}"),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=launch.environment(config, 0),
        cwd=launch.home(config),
        start_new_session=True,
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), _PROBE_S)
        found: dict[str, Any] = json.loads(said)
    except (TimeoutError, ValueError):
        if process.returncode is None:
            process.kill()
            await process.wait()
            complaint = b"it took too long"
        why = f"trying it failed: {complaint.decode(errors='replace').strip()[-300:]}"
        return {"reasons": {"namespaces": why, "landlock": why}, "shown": [], "network": [], "filter": ""}
    return found


async def _try_bubblewrap() -> str:
    program = tool()
    if program is None:
        return "there is no bwrap on the PATH (apt-get install bubblewrap)"
    return await _complaint(program, *_BWRAP)


async def _try_limits(config: HostConfig, python: str) -> str:
    """What bubblewrap cannot do here, though it can be had; "" if it can do all."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        complaint = await _complaint(*trial(tool() or "bwrap", config, python), stdin=theirs.fileno())
    return complaint and f"bubblewrap cannot limit the number of files here: {complaint}"


async def _complaint(*command: str, stdin: int = DEVNULL) -> str:
    """Run a program; what it says if it fails, "" if it does not."""
    process = await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=DEVNULL, stderr=PIPE)
    try:
        _, said = await asyncio.wait_for(process.communicate(), _PROBE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return "it took too long"
    if process.returncode == 0:
        return ""
    *_, last = ["", *said.decode(errors="replace").strip().splitlines()]
    return last[-300:] or f"{command[0]} ended with status {process.returncode}"


def _alarm(why: str) -> str:
    line = "=" * 78
    who = " as root" if os.geteuid() == 0 else ""
    return (
        f"{line}\nperdure: WARNING: RUNNERS ARE NOT SANDBOXED. Whoever may deploy can do{who} what this process can\n"
        f"do on this machine: read files, reach its network, end other processes. Why: {why}\n{line}"
    )
