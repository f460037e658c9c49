"""Markers whose rows are not written yet.

Most markers are a clock's or a generator's number, and nobody waits for them. All that is done when one is made is to
remember it; its row is made with those of many others, in one frame, when something else must go out after it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from perdure_runner import frames, marks
from perdure_runner.child.replay import Row, Site, standing_keys
from perdure_runner.child.values import plain

MOST = 256
"""So many markers are kept, at most."""

Macs = Callable[[Iterable[bytes]], list[bytes]]
"""The MACs of values in JSON."""


Mark = tuple[str, str, Site | None, int, bytes, int, int, plain.Atom]
"""A marker that returned a short value (`plain.is_short`): lane, function, site, ordinal, digest of the arguments, when
it began and ended (nanoseconds), value. The tuple itself, which is made ten times faster than one with names.
"""


def standing_text(keys: Row) -> str:
    """Keys that many rows have, as `Link.record` wants them: it need not encode them again each time."""
    return frames.dump(keys)[1:-1] + ","


@functools.lru_cache(1024)
def standing(lane: str, function: str, site: Site | None) -> str:
    """The same for the calls of a function at a site in a lane."""
    return standing_text(standing_keys(lane, function, site))


def frame(number: int, kept: list[Mark], macs: Macs, *, sync: bool) -> bytes:
    """The rows of these markers, numbered from `number` on."""
    lanes, functions, sites, ordinals, digests, began_ns, ended_ns, values = zip(*kept, strict=True)
    heads: dict[tuple[str, str, int], int] = {}
    which = [heads.setdefault(head, len(heads)) for head in zip(lanes, functions, map(id, sites), strict=True)]
    texts = plain.dump_short(values)
    return marks.pack(
        number,
        [_head(kept[which.index(i)]) for i in range(len(heads))],
        which,
        ordinals,
        began_ns,
        ended_ns,
        digests,
        macs(texts),
        texts,
        sync=sync,
    )


def _head(mark: Mark) -> str:
    return f"{{{standing(*mark[:3])[:-1]}}}"
