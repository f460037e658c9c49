"""What `perdure doctor` says about isolation: the kind that strangers' code gets here, why not a better one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from perdure_server.cli.probes import Finding, Verdict

_REMEDY = {
    "namespaces": (
        "allow user namespaces to ordinary users: sysctl user.max_user_namespaces=15000, and on Ubuntu 23.10 and newer "
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0, as root; in a container, run the host outside of it"
    ),
    "landlock": "a kernel from 5.13 on, with landlock among its lsm= parameters",
    "bubblewrap": "apt-get install bubblewrap",
}
_GROUPS_REMEDY = (
    "run the host as a service with Delegate=yes, or: systemd-run --user --scope -p Delegate=yes perdure serve"
)


async def look() -> list[Finding]:
    """Try everything there is."""
    return [*await _isolation(), groups()]


async def _isolation() -> list[Finding]:
    import sys

    from perdure_runner.host import isolation
    from perdure_runner.host.config import HostConfig

    with tempfile.TemporaryDirectory(prefix="perdure-doctor-") as scratch:
        found = await isolation.survey(HostConfig(state_dir=Path(scratch)), sys.executable)
    chosen = isolation.decide("auto", found.reasons).kind
    held = _chosen(chosen, found.reasons[isolation.KINDS[0]], found.shown.unlimited)
    return [held, *_others(chosen, dict(found.reasons))]


def _chosen(kind: str, why_not_best: str, unlimited: str) -> Finding:
    """`unlimited`: why bubblewrap cannot limit files; "" if it can."""
    said = {
        "namespaces": "strangers' code gets the full sandbox: namespaces, a private root, limits, a system call filter",
        "bubblewrap": "strangers' code runs in bubblewrap; each start takes a tenth of a second"
        + (f"; {unlimited}" if unlimited else ""),
        "landlock": "strangers' code is held by Landlock, a system call filter and limits: no private root, no "
        "process namespace, no list of hosts",
        "plain": "strangers' code would not be held at all",
    }[kind]
    if kind == "namespaces":
        return Finding("isolation", Verdict.OK, said)
    return Finding("isolation", Verdict.WARN, f"{said}; no namespaces: {why_not_best}", _REMEDY["namespaces"])


def _others(chosen: str, reasons: dict[str, str]) -> Iterator[Finding]:
    for kind, remedy in _REMEDY.items():
        if kind in {chosen, "namespaces"}:
            continue
        detail = f"cannot be had: {reasons[kind]}" if reasons[kind] else "could be used: --isolation " + kind
        wanted = chosen == "plain" and bool(reasons[kind])
        yield Finding(kind, Verdict.INFO, detail, remedy if wanted else "")


def groups() -> Finding:
    """Whether sessions get control groups: for memory, processes and processor time together."""
    from perdure_runner.host.cgroups import CONTROLLERS, Groups

    made = Groups()
    try:
        have, missing = [*made.controllers], dict(made.missing)
    finally:
        made.close()
    if not missing:
        return Finding("cgroups", Verdict.OK, f"each session gets a control group of its own: {', '.join(have)}")
    lacks = "; ".join(f"{name}: {missing[name]}" for name in CONTROLLERS if name in missing)
    held = f"{', '.join(have)} only" if have else "none"
    detail = f"control groups of sessions: {held} ({lacks}); limits then hold for single processes"
    return Finding("cgroups", Verdict.WARN, detail, _GROUPS_REMEDY)
