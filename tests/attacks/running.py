"""Attacks, one after the other or side by side; what each says of itself, and what is seen from outside."""

from __future__ import annotations

import enum
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from attacks.backends import MUST_HOLD, PLAIN
from attacks.suite import INHERENT, Attack
from attacks.world import World
from e2e.terminal import until

SIDE_BY_SIDE = 4
_TRIES = 3
_PATIENCE_S = 240.0
"""For the end of a session; longer than `probing.wait_for_the_host` waits."""
_LONGEST = 400  # characters of a detail that are shown
_LIMIT_CODES = ("P06", "P0701")
"""A session that the sandbox, a limit or the host has ended."""


class Verdict(enum.Enum):
    """What an attack came to."""

    CONTAINED = "contained"
    LEAKED = "LEAKED"
    INHERENT = "inherent"
    KNOWN = "known"
    BROKEN = "BROKEN"


@dataclass
class Ran:
    """One attack's session, ended."""

    mark: str
    before_kb: dict[str, int]
    state: str = ""
    code: str = ""
    message: str = ""
    result: Any = None


@dataclass(frozen=True)
class Finding:
    """One cell of the table; `detail` says what leaked, or what the session came to."""

    attack: Attack
    verdict: Verdict
    detail: str


def run_all(world: World, attacks: Iterable[Attack]) -> Iterator[Finding]:
    """Run them all, those first that must be alone."""
    attacks = list(attacks)
    yield from (run(world, attack) for attack in attacks if attack.alone)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as workers:
        yield from workers.map(lambda attack: run(world, attack), (each for each in attacks if not each.alone))


def run(world: World, attack: Attack) -> Finding:
    """Run one; again where it should show that it works and did not: a loaded machine leaves it little to show."""
    for _ in range(_TRIES):
        finding = _run_once(world, attack)
        if not _shows_nothing(world.backend.name, finding):
            break
    return finding


def _run_once(world: World, attack: Attack) -> Finding:
    ran = Ran(f"MARK{secrets.token_hex(6)}", {name: world.peak_kb(name) for name in ("host", "coordinator")})
    event = world.event(ran.mark, attack.arguments)
    session_id = world.start(attack.entry, attack.project, event)
    other = None
    if attack.endless:
        world.settled(session_id)
        other = _end(world, world.start(attack.entry_of_other, attack.project, event)) if attack.other else None
        world.kill(session_id)
    session = _end(world, session_id)
    ran.state, ran.code, ran.message = session.state, session.error.code, session.error.message
    ran.result = json.loads((other or session).result.data or b"null")
    return _judge(world, attack, ran)


def _end(world: World, session_id: str) -> Any:
    """The session, when it has ended."""

    def ended() -> Any:
        session = world.server.session(session_id)
        return session if session.ended_at else None

    return until(ended, f"{session_id} ends", _PATIENCE_S)


def _judge(world: World, attack: Attack, ran: Ran) -> Finding:
    seen = attack.oracle(world, ran)
    said = ran.result if isinstance(ran.result, dict) else {}
    detail = str(said.get("detail", ""))
    told = [name for name, secret in world.secrets.items() if secret in detail]
    if told:
        seen = f"{seen} secrets: {', '.join(told)}".strip()
    if seen or said.get("leaked"):
        why = world.backend.known.get(attack.name, "")
        return Finding(attack, _leak(attack.name, borne=bool(why)), f"{seen} {detail} {why}".strip())
    if said or attack.endless or ran.code.startswith(_LIMIT_CODES):
        return Finding(attack, Verdict.CONTAINED, detail or f"{ran.state} {ran.code} {ran.message}".strip())
    return Finding(attack, Verdict.BROKEN, f"{ran.state} {ran.code} {ran.message}")


def _leak(attack: str, *, borne: bool) -> Verdict:
    if attack in INHERENT:
        return Verdict.INHERENT
    return Verdict.KNOWN if borne else Verdict.LEAKED


def complaints(backend: str, findings: Iterable[Finding]) -> list[str]:
    """What must not be: a leak of a sandbox, and on `plain` an attack that does not work."""
    found = []
    for finding in findings:
        attack, verdict = finding.attack, finding.verdict
        if verdict is Verdict.BROKEN or (verdict is Verdict.LEAKED and (backend in MUST_HOLD or attack.plain)):
            found.append(f"{attack.name}: {verdict.value}: {finding.detail[:_LONGEST]}")
        elif _shows_nothing(backend, finding):
            found.append(f"{attack.name} shows nothing: plain isolation contained it: {finding.detail[:_LONGEST]}")
    return found


def _shows_nothing(backend: str, finding: Finding) -> bool:
    excused = finding.attack.plain or (finding.attack.root and os.geteuid())
    return backend == PLAIN and finding.verdict is Verdict.CONTAINED and not excused
