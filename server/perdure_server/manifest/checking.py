"""What a manifest says of the project's code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from perdure_server.core.errors import PerdureError, Problems, did_you_mean
from perdure_server.manifest.exports import Export, Exports
from perdure_server.manifest.manifest import Manifest
from perdure_server.manifest.triggers import Trigger


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
        if trigger.call and (wrong := _wrong(trigger, found.exports)):
            line, column = _place(trigger, lines)
            problems[trigger.name] = PerdureError(
                "P0107",
                f"trigger {trigger.name}: {wrong.what}",
                help=wrong.hint,
                file=manifest.file,
                line=line or None,
                column=column or None,
                source=lines[line - 1] if 0 < line <= len(lines) else None,
            )
    return list(problems.values())


class _Wrong(NamedTuple):
    what: str
    hint: str | None


def _wrong(trigger: Trigger, exports: Sequence[Export]) -> _Wrong | None:
    file, _, name = trigger.call.rpartition(":")
    file = PurePosixPath(file).as_posix()
    names = [export.name for export in exports if export.file == file]
    if name in names:
        return None
    if not names:
        files = sorted({export.file for export in exports})
        return _Wrong(f"there is no file {file} with functions", did_you_mean(file, files))
    known = f"there are: {', '.join(names[:10])}"
    return _Wrong(f"{file} has no function {name!r}", did_you_mean(name, names) or known)


def _place(trigger: Trigger, lines: Sequence[str]) -> tuple[int, int]:
    """Of the trigger's `call` in the manifest's text; of the trigger, where there is no text."""
    for number, line in enumerate(lines[max(trigger.line - 1, 0) :], max(trigger.line, 1)):
        if (at := line.find(trigger.call)) >= 0:
            return number, at + 1
    return trigger.line, trigger.column
