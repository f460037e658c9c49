"""What a project's sessions will record: the report of `perdure deploy`, from the calls in its source. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from perdure_server.cli.documents import Document
from perdure_server.cli.scanning import Site
from perdure_server.cli.text import clean

MAX_NAMES: Final = 200
MAX_SITES: Final = 50
_SHOWN: Final = 8
_RECORDED: Final = frozenset({"activity", "marker"})
_THREADS: Final = frozenset({"threading.Thread", "threading.Timer"})
_ORDERED_BY: Final = frozenset(
    {f"threading.{name}" for name in ("Lock", "RLock", "allocate_lock", "Condition", "Semaphore", "Event", "Barrier")}
    | {f"queue.{name}" for name in ("Queue", "SimpleQueue", "LifoQueue", "PriorityQueue")}
)


@dataclass(frozen=True, slots=True)
class Recordings:
    """What is recorded, by name with its number of call sites; and the calls that deserve a look."""

    activities: dict[str, int]
    markers: dict[str, int]
    loading: tuple[Site, ...]
    """Recorded calls that are made when a module is loaded: once in every session."""
    threads: tuple[Site, ...]
    """Threads of files that use nothing to put them in order."""
    unresolved: tuple[Site, ...]
    """What they call is only known when they run."""


def of(sites: Sequence[Site]) -> Recordings:
    """Sum up the calls of a project."""
    ordered = {site.file for site in sites if site.function in _ORDERED_BY}
    return Recordings(
        activities=_counted(site for site in sites if site.what == "activity"),
        markers=_counted(site for site in sites if site.what == "marker"),
        loading=tuple(site for site in sites if site.loading and site.what in _RECORDED),
        threads=tuple(site for site in sites if site.function in _THREADS and site.file not in ordered),
        unresolved=tuple(site for site in sites if site.what == "unresolved"),
    )


def _counted(sites: Iterable[Site]) -> dict[str, int]:
    return dict(Counter(site.function for site in sites).most_common(MAX_NAMES))


def document(found: Recordings) -> Document:
    """The key `report` of `deploy --json`."""
    return {
        "activities": found.activities,
        "markers": found.markers,
        "loading": [_place(site) for site in found.loading[:MAX_SITES]],
        "threads": [_place(site) for site in found.threads[:MAX_SITES]],
        "unresolved": len(found.unresolved),
    }


def _place(site: Site) -> Document:
    return {"file": site.file, "line": site.line, "function": site.function, "what": site.what}


def lines(found: Recordings) -> list[str]:
    """The same for people."""
    text = [
        f"records {_list('activity', 'activities', found.activities)}",
        f"markers {_list('name', 'names', found.markers)}",
    ]
    text += (
        f"look at {_at(site)} is called while its module loads, so at the start of each session"
        for site in found.loading[:_SHOWN]
    )
    text += (
        f"look at {_at(site)}: no lock or queue in this file puts its threads in order"
        for site in found.threads[:_SHOWN]
    )
    if found.unresolved:
        first = found.unresolved[0]
        count = len(found.unresolved)
        some = f"{count} calls are" if count > 1 else "1 call is"
        text.append(
            f"{some} only known at run time; perdure explain-call {first.file}:{first.line} says why of the first"
        )
    return text


def _at(site: Site) -> str:
    return clean(f"{site.file}:{site.line}: {site.function}")


def _list(one: str, many: str, names: dict[str, int]) -> str:
    if not names:
        return f"no {many}"
    shown = ", ".join(clean(f"{name} ({count})" if count > 1 else name) for name, count in list(names.items())[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {one if len(names) == 1 else many}: {shown}{more}"
