"""``python -m attacks [-v] [BACKEND or ATTACK ...]``: attacks and backends, as a table. Exit code 1 if one leaks."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from attacks.backends import BACKENDS, Missing, having
from attacks.running import Finding, Verdict, complaints, run_all
from attacks.suite import ATTACKS, INHERENT, Attack
from attacks.world import opened_world

WIDTH = 12


def main(wanted: list[str]) -> int:
    """Print the table, what leaked, and why some must."""
    backends = [name for name in BACKENDS if name in wanted] or BACKENDS
    attacks = [attack for attack in ATTACKS if attack.name in wanted] or ATTACKS
    columns: dict[str, dict[str, Finding]] = {}
    wrong: list[str] = []
    verbose = "-v" in wanted
    for name in backends:
        began = time.monotonic()
        try:
            columns[name], harm = column(name, attacks)
        except Missing as reason:
            print(f"{name}: not here: {reason}", file=sys.stderr)
            continue
        print(f"{name}: {len(columns[name])} attacks in {time.monotonic() - began:.0f} s", file=sys.stderr)
        wrong += [f"{name}: {what}" for what in [*harm, *complaints(name, columns[name].values())]]
    show(attacks, columns)
    for name, findings in columns.items() if verbose else ():
        print("\n".join(f"{name}: {finding.attack.name}: {finding.detail}" for finding in findings.values()))
    print("\n".join(["", *wrong] if wrong else []))
    return 1 if wrong or not columns else 0


def column(name: str, attacks: Sequence[Attack]) -> tuple[dict[str, Finding], list[str]]:
    """All attacks on one backend, and what was done to those that must go on. Raises Missing."""
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder, having(name, Path(folder)) as backend:
        place = Path(folder) / "world"
        place.mkdir()
        with opened_world(place, backend) as world:
            return {finding.attack.name: finding for finding in run_all(world, attacks)}, world.harm()


def show(attacks: Sequence[Attack], columns: dict[str, dict[str, Finding]]) -> None:
    """Print the table."""
    print(f"{'attack':46}" + "".join(f"{name:{WIDTH}}" for name in columns))
    for attack in attacks:
        cells = [findings[attack.name].verdict.value for findings in columns.values()]
        print(f"{attack.family + ': ' + attack.name:46}" + "".join(f"{cell:{WIDTH}}" for cell in cells))
    for name, findings in columns.items():
        total = sum(finding.verdict is Verdict.CONTAINED for finding in findings.values())
        print(f"{name}: {total} of {len(findings)} contained")
    for attack, why in INHERENT.items():
        print(f"{attack}: {why}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
