"""`perdure vars`: variables of a project that are set apart from its manifest, secrets above all.

A value is never an argument of a command: arguments are in the list of processes and in the shell's history.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_server.manifest.manifest import Manifest

SHORTEST_MASKED = 4
PROJECT = click.option("--project", metavar="NAME", help="The project [default: the manifest's here, or the only one].")


variables = LazyGroup(
    {
        "set": Lazy("vars", "set_", "Set a variable to what is typed, or comes on stdin."),
        "unset": Lazy("vars", "unset", "Take a variable away again."),
        "list": Lazy("vars", "list_", "Show the variables that were set, without what is secret."),
        "rotate-key": Lazy("vars", "rotate_key", "Encrypt a home's variables with a new key."),
    },
    name="vars",
    help="Set variables of a project apart from its manifest; secret ones are encrypted and masked.",
)


@click.command("set")
@click.argument("name")
@click.option("--secret", is_flag=True, help="Encrypt it, and hide its value in all output.")
@click.option("--from-env", metavar="VAR", help="Take the value from this variable of the environment.")
@click.option("--from-file", metavar="FILE", type=click.Path(path_type=Path), help="Take the value from a file.")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def set_(
    name: str,
    secret: bool,
    from_env: str | None,
    from_file: Path | None,
    project: str | None,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> int:
    """Set variable NAME to what is typed at a prompt, or comes on stdin.

    It takes the place of the manifest's value, from the next start of a runner on.
    """
    if from_env and from_file:
        raise click.UsageError("give either --from-env or --from-file")
    settings = Settings.load()
    value = _value(name, from_env, from_file)
    secret = secret or name in _secret_here()
    if secret and len(value.strip()) < SHORTEST_MASKED:
        render.say(f"note: a secret shorter than {SHORTEST_MASKED} characters is encrypted, but not masked in output")
    request = control.SetVarRequest(
        project=project_here(settings, project), var=control.Var(name=name, value=value, secret=secret)
    )
    async with connect.writing(settings, server, home) as remote:
        await remote.set_var(request)
    if as_json:
        documents.emit({"name": name, "secret": secret})
    else:
        render.say(f"set {name}{' (secret)' if secret else ''}")
    return 0


@click.command("unset")
@click.argument("name")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def unset(name: str, project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Take variable NAME away again: the manifest's value counts, where there is one."""
    settings = Settings.load()
    request = control.UnsetVarRequest(project=project_here(settings, project), name=name)
    async with connect.writing(settings, server, home) as remote:
        answer = await remote.unset_var(request)
    if as_json:
        documents.emit({"name": name, "existed": answer.existed})
    else:
        render.say(f"unset {name}" if answer.existed else f"{name} was not set")
    return 0


@click.command("list")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def list_(project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Show the variables that were set; of secret ones never the value."""
    settings = Settings.load()
    request = control.ListVarsRequest(project=project_here(settings, project))
    async with connect.reading(settings, server, home) as remote:
        found = (await remote.list_vars(request)).vars
    if as_json:
        documents.emit([_document(var) for var in found])
        return 0
    if not found:
        render.say("no variables")
    else:
        rows = ((var.name, "(secret)" if var.secret else var.value.decode()) for var in found)
        render.table(("NAME", "VALUE"), rows)
    return 0


@click.command("rotate-key")
@options.HOME
def rotate_key(home: str | None) -> int:
    """Encrypt all variables of a home that nobody serves with a new key; the old keys stay, for the journal."""
    from perdure_server.secrets import Vault
    from perdure_server.secrets.rotating import rotate
    from perdure_server.store import Store

    place = Path(Settings.load().text("home", home))
    connect.require_home(place)
    store = Store.open(place)
    try:
        made = rotate(store, Vault.open(place), int(dt.datetime.now(dt.UTC).timestamp() * 1e6))
    finally:
        store.close()
    render.say(f"key {made.key_id} encrypts from now on; {made.resealed} variables were encrypted anew")
    return 0


def _value(name: str, from_env: str | None, from_file: Path | None) -> bytes:
    """From where it was said to come; else typed without echo, or all of stdin without its last line's end."""
    if from_env:
        try:
            return os.environ[from_env].encode("utf-8", "surrogateescape")
        except KeyError:
            raise PerdureError("P0104", f"{from_env} is not set in the environment") from None
    if from_file:
        try:
            return from_file.read_bytes()
        except OSError as error:
            raise PerdureError("P0110", f"cannot read {from_file}: {error.strerror}") from None
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True)).encode()
    return sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")


def project_here(settings: Settings, named: str | None) -> str:
    """As said by flag or settings; else that of the manifest in this folder; else the coordinator's only one."""
    if told := settings.text("project", named):
        return told
    found = _manifest()
    return found.name if found else ""


def _secret_here() -> frozenset[str]:
    """What the manifest in this folder calls secret is one, said or not."""
    found = _manifest()
    return found.secrets if found else frozenset()


def _manifest() -> Manifest | None:
    from perdure_server.manifest.manifest import has_manifest, load_manifest

    return load_manifest(Path()) if has_manifest(Path()) else None


def _document(var: control.Var) -> documents.Document:
    return {
        "name": var.name,
        "secret": var.secret,
        "value": None if var.secret else var.value.decode(),
        "set_at": documents.timestamp(var.set_us),
    }
