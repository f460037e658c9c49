"""The table that people read. Pure."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from bench.figures import FLOORS, SPECS, figures

_HEAD = ("figure", "median", "min - max", "unit", "floor", "x floor", "the floor is made of")
_RIGHT = frozenset({1, 2, 4, 5})


def render(samples: Mapping[str, Sequence[float]], missing: Mapping[str, str]) -> str:
    """One table of all figures, then of the floors, then of what is missing."""
    rows = [
        (name, number(each.value), spread(each.runs), each.unit, number(each.floor), number(each.ratio), each.made_of)
        for name, each in figures(samples).items()
    ]
    bare = [
        (name, number(statistics.median(samples[name])), spread(samples[name]), unit, "", "", note)
        for name, (unit, note) in FLOORS.items()
        if samples.get(name)
    ]
    lines = [*aligned([_HEAD, *rows, ("floor", *_HEAD[1:4], "", "", "what it is"), *bare])]
    lines.insert(1 + len(rows), "")
    notes = [f"  {name}: {SPECS[name].note}" for name in figures(samples) if SPECS[name].note]
    lines += ["", *notes] if notes else []
    lines += [f"not measured: {name}: {reason}" for name, reason in missing.items()]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Three digits that mean something; a dash for none."""
    if value is None:
        return "-"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def spread(runs: Sequence[float]) -> str:
    """Least and greatest, and how many there were."""
    return f"{number(min(runs))} - {number(max(runs))} ({len(runs)})"


def aligned(rows: Sequence[Sequence[str]], right: frozenset[int] = _RIGHT) -> Iterable[str]:
    """Lines with the cells of `rows` below each other; the columns in `right` end at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
