"""`perdure explain [CODE]`: the catalogue of errors."""

from __future__ import annotations

import click

from perdure_server.cli import documents, options, render
from perdure_server.core.errors import CATALOGUE, did_you_mean
from perdure_server.core.errors import explain as long_form


@click.command()
@click.argument("code", required=False)
@options.JSON
def explain(code: str | None, as_json: bool) -> None:
    """Explain an error code at length; without CODE, list all codes."""
    if code is None:
        chosen = list(CATALOGUE)
    elif code.upper() in CATALOGUE:
        chosen = [code.upper()]
    else:
        hint = did_you_mean(code.upper(), CATALOGUE) or "`perdure explain` lists all codes"
        raise click.BadParameter(f"there is no code {code!r}; {hint}", param_hint="CODE")
    if as_json:
        found = [{"code": each, **CATALOGUE[each]._asdict()} for each in chosen]
        documents.emit(found if code is None else found[0])
    elif code is None:
        render.table(("CODE", "MEANING"), ((each, CATALOGUE[each].title) for each in chosen))
    else:
        render.show(long_form(code))
