"""What a manifest says of the project's code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from perdure_server.core.errors import PerdureError, Problems, did_you_mean
from perdure_server.manifest.exports import Export
from perdure_server.manifest.manifest import Manifest


def check_handlers(manifest: Manifest, exports: Sequence[Export], source: str = "") -> None:
    """Every `call` of a trigger is a function of the code. `source`: the manifest's text, of which lines are shown.

    Raises `Problems` (P0107) with all that are missing.
    """
    lines = source.splitlines()
    problems = []
    for trigger in manifest.triggers:
        found = _missing(trigger.call, exports) if trigger.call else None
        if found is None:
            continue
        message, hint = found
        problems.append(
            PerdureError(
                "P0107",
                f"trigger {trigger.name}: {message}",
                help=hint,
                file=manifest.file,
                line=trigger.line or None,
                column=trigger.column or None,
                source=lines[trigger.line - 1] if 0 < trigger.line <= len(lines) else None,
            )
        )
    if problems:
        raise Problems(problems)


def _missing(call: str, exports: Sequence[Export]) -> tuple[str, str | None] | None:
    """What is wrong with it, and what helps; None: nothing."""
    file, _, name = call.rpartition(":")
    file = PurePosixPath(file).as_posix()
    names = [export.name for export in exports if export.file == file]
    if name in names:
        return None
    files = sorted({export.file for export in exports})
    if not names:
        return f"there is no file {file} with functions", did_you_mean(file, files)
    known = f"there are: {', '.join(names[:10])}"
    return f"{file} has no function {name!r}", did_you_mean(name, names) or known
