"""`perdure config`: all settings, their values and where each came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from perdure_server.cli import documents, options, render
from perdure_server.cli.settings import SETTINGS, Resolved, Settings


def _flags(command: Callable[..., Any]) -> Callable[..., Any]:
    for setting in reversed(SETTINGS):
        flag = f"--{setting.name.replace('_', '-')}"
        command = click.option(flag, setting.name, metavar=setting.unit.upper(), help=setting.doc)(command)
    return command


@click.command()
@click.option("--origin", is_flag=True, help="Show where each value came from.")
@options.JSON
@_flags
def config(origin: bool, as_json: bool, **flags: str | None) -> None:
    """Show all settings. With a flag, show what a command would see that is given this flag."""
    settings = Settings.load()
    found = [settings.resolve(setting.name, flags[setting.name]) for setting in SETTINGS]
    if as_json:
        documents.emit({item.setting.name: _document(item) for item in found})
        return
    headings = ("SETTING", "VALUE", "UNIT", *(("FROM",) if origin else ()), "MEANING")
    render.table(headings, (_row(item, origin) for item in found))


def _document(item: Resolved) -> documents.Document:
    return {
        "value": item.value,
        "origin": item.origin,
        "default": item.setting.default,
        "unit": item.setting.unit,
        "variable": item.setting.variable,
        "doc": item.setting.doc,
    }


def _row(item: Resolved, origin: bool) -> tuple[str, ...]:
    source = (item.origin,) if origin else ()
    return (item.setting.name, str(item.value), item.setting.unit, *source, item.setting.doc)
