"""What there is to say about a divergence: which kind it is, what differs, where to fork. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from perdure_proto.v1 import journal_pb2 as journal

from perdure_server.core.arguments import Change, Described, changes

OTHER_CALL: Final = "P0501"
ENDED_EARLY: Final = "P0502"
_WITH_PREVIEW: Final = frozenset({journal.ENTRY_KIND_STARTED, journal.ENTRY_KIND_RETRY, journal.ENTRY_KIND_ACTIVITY})
_HELP: Final = "`perdure sessions show` has both calls side by side and the ways out"


@dataclass(frozen=True, slots=True)
class Sides:
    """The builds whose code is compared; empty: unknown. `folder`: where the new code is, if it was named so."""

    recorded: str = ""
    called: str = ""
    folder: str = ""


NEITHER: Final = Sides()
"""Nothing is known of the builds."""


def code(message: journal.Divergence) -> str:
    """Of the catalogue of errors."""
    return OTHER_CALL if message.HasField("called") else ENDED_EARLY


def differences(message: journal.Divergence) -> tuple[Change, ...]:
    """Where the arguments of two calls of one function differ."""
    recorded, called = message.recorded, message.called
    if (
        recorded.kind not in _WITH_PREVIEW
        or recorded.function != called.function
        or recorded.args_digest == called.args_digest
    ):
        return ()
    return changes(
        Described(recorded.args_preview, recorded.arg_digests), Described(called.args_preview, called.arg_digests)
    )


def reason(message: journal.Divergence) -> str:
    """Why, with the first argument that differs."""
    first = next(iter(differences(message)), None)
    return f"{message.reason}: {first}" if first and message.reason else message.reason


def agreed(message: journal.Divergence, entries: int) -> int:
    """How many entries of the journal, which has `entries`, lie before the difference; a fork can share them."""
    recorded = message.recorded
    return max(0, recorded.seq - 1) if message.HasField("recorded") and recorded.seq else entries


def sentence(message: journal.Divergence) -> str:
    """Both sides in one line: what the journal has, what the code did, and what differs."""
    recorded = _side(message.recorded) if message.HasField("recorded") else "nothing more"
    called = f"called {_side(message.called)}" if message.HasField("called") else "ended"
    why = reason(message)
    return f"recorded: {recorded}; the code {called}" + (f" ({why})" if why else "")


def error(message: journal.Divergence) -> journal.Error:
    """The error of a session that ended so."""
    site = message.called.site
    frame = journal.Frame(file=site.file, line=site.line, name=message.called.function, source=site.source)
    return journal.Error(
        type="Diverged",
        message=sentence(message),
        code=code(message),
        help=_HELP,
        traceback=[frame] if message.HasField("called") else [],
    )


def _side(entry: journal.Entry) -> str:
    return f"{entry.function} at {entry.site.file}:{entry.site.line}"
