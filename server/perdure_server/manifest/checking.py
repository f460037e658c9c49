"""What a manifest says of the project's code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from perdure_server.core.errors import PerdureError, Problems, did_you_mean
from perdure_server.manifest.exports import Export, Exports
from perdure_server.manifest.manifest import Manifest


def check_handlers(manifest: Manifest, found: Exports) -> None:
    """Raises `Problems` with every `call` of a trigger that is no function of the code; see `wrong_handlers`."""
    if problems := wrong_handlers(manifest, found):
        raise Problems(problems)


def wrong_handlers(manifest: Manifest, found: Exports, text: str = "") -> list[PerdureError]:
    """P0107 for each `call` of a trigger that the code lacks, P0113 for a file that cannot be read.

    `text` is the manifest's, of which lines are shown.
    """
    lines = text.splitlines()
    unreadable = {problem.file: problem for problem in found.problems}
    problems: dict[str, PerdureError] = {}
    for trigger in manifest.triggers:
        file = PurePosixPath(trigger.call.rpartition(":")[0]).as_posix()
        if trigger.call and file in unreadable:
            problems[file] = unreadable[file]
            continue
        wrong = _missing(trigger.call, found.exports) if trigger.call else None
        if wrong is None:
            continue
        message, hint = wrong
        problems[trigger.name] = PerdureError(
            "P0107",
            f"trigger {trigger.name}: {message}",
            help=hint,
            file=manifest.file,
            line=trigger.line or None,
            column=trigger.column or None,
            source=lines[trigger.line - 1] if 0 < trigger.line <= len(lines) else None,
        )
    return list(problems.values())


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
