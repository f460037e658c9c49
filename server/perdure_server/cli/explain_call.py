"""`perdure explain-call`: whether a call is recorded, and why. None of the project's code is run for it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from perdure_server.cli import connect, documents, options, render
from perdure_server.cli.text import clean
from perdure_server.core.errors import PerdureError

_CLAUSES = {
    "activity": "is an activity: its outcome is recorded",
    "marker": "is a marker: its value is recorded without waiting",
    "direct": "just runs",
    "callbacks": "just runs; functions from outside among its arguments are recorded call by call",
    "system": "is answered by perdure",
    "unresolved": "is decided about when it runs",
}


@click.command("explain-call")
@click.argument("place", metavar="FILE:LINE")
@click.option(
    "--dir", "root", metavar="DIR", type=click.Path(path_type=Path), default=Path(), help="The project [default: .]."
)
@options.JSON
@connect.waits
async def explain_call(place: str, root: Path, as_json: bool) -> None:
    """Say of every call on a line whether it is recorded, and why.

    Names are resolved as far as the source tells; what only running the code can tell, `sessions history --why` knows.
    """
    from perdure_server.cli import scanning

    file, line = _parsed(place, root)
    found = await scanning.scan(root, file, line)
    if as_json:
        documents.emit([asdict(site) for site in found])
        return
    if not found:
        render.say(f"no call begins or goes on at {file}:{line}")
    for site in found:
        because = "because it" if site.what != "unresolved" else "since it"
        render.show(f"{site.file}:{site.line}:{site.column} {clean(site.call)}")
        render.show(f"  {clean(f'{site.function} {_CLAUSES[site.what]}, {because} {site.why}')}")


def _parsed(place: str, root: Path) -> tuple[str, int]:
    """The file, relative to the project, and the line. Raises P0110 where there is no such file."""
    file, _, number = place.rpartition(":")
    if not file or not number.isdecimal() or not int(number):
        raise click.BadParameter("write it as FILE:LINE, such as main.py:12", param_hint="FILE:LINE")
    for candidate in (root / file, Path(file)):
        if candidate.is_file() and candidate.resolve().is_relative_to(root.resolve()):
            return str(candidate.resolve().relative_to(root.resolve())), int(number)
    raise PerdureError("P0110", f"there is no {file} in {root.resolve()}", help="name the project with --dir")
