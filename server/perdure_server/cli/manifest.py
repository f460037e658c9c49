"""`perdure manifest`: whether a manifest is sound, what it says, and what deploying it would change."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1.runner_pb2 import FetchBlobRequest

from perdure_server.cli import connect, documents, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError, Problems, exit_code

if TYPE_CHECKING:
    from perdure_server.manifest.manifest import Examined, Manifest
    from perdure_server.manifest.planning import Change

FOLDER = click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path())

manifest = LazyGroup(
    {
        "validate": Lazy("manifest", "validate", "Show everything that is wrong with it, all at once."),
        "plan": Lazy("manifest", "plan", "Show what deploying it would change."),
        "show": Lazy("manifest", "show", "Show it as it is read, defaults included."),
        "schema": Lazy("manifest", "schema", "Print the JSON schema of perdure.yaml, for editors."),
    },
    name="manifest",
    help="Check a project's manifest, and see what deploying it would change.",
)


@click.command()
@FOLDER
@options.JSON
def validate(folder: Path, as_json: bool) -> int:
    """Check the manifest of a folder, and that the functions exist which its triggers call.

    Nothing of the project is run, and no coordinator is asked.
    """
    from perdure_server.manifest.manifest import has_manifest
    from perdure_server.manifest.planning import parts_of

    examined, problems = _examine(folder)
    found = examined.manifest
    if as_json:
        file = found.file if has_manifest(folder) else None
        document = {"file": file, "valid": not problems, "problems": [_problem(each) for each in problems]}
        documents.emit(document | parts_of(found))
    elif problems:
        render.problem(Problems(problems))
        render.say(f"\n{len(problems)} {'problem' if len(problems) == 1 else 'problems'}")
    else:
        counts = ", ".join(f"{name}: {count}" for name, count in parts_of(found).items() if count)
        if has_manifest(folder):
            render.say(f"{found.file} is sound{f' ({counts})' if counts else ''}")
        else:
            render.say(f"{folder} has no {found.file}: the defaults count")
    return exit_code(problems[0]) if problems else 0


@click.command()
@FOLDER
@options.PROJECT
@options.where
@options.JSON
@connect.waits
async def plan(folder: Path, project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Compare the manifest of a folder with the project's active deployment."""
    from perdure_server.cli import builds
    from perdure_server.manifest.build import digest
    from perdure_server.manifest.planning import changes

    settings = Settings.load()
    after = _sound(folder)
    name = settings.text("project", project) or after.name
    build_id = digest(builds.packed(builds.Source(folder, name)))
    async with connect.reading(settings, server, home) as remote:
        active = await _active(remote, name)
        before = await _manifest_of(remote, active.build_id) if active else None
    found = changes(before, after)
    if as_json:
        documents.emit(
            {
                "project": name,
                "deployment_id": active.deployment_id if active else None,
                "build": {"before": active.build_id if active else None, "after": build_id},
                "changes": [_change(each) for each in found],
            }
        )
        return 0
    render.say(f"project {name}: " + (f"deployment {active.deployment_id} is active" if active else "nothing is live"))
    for each in found:
        render.show(each.line())
    if not active or active.build_id != build_id:
        render.show(f"~ build: {active.build_id[:12] if active else 'nothing'} -> {build_id[:12]}")
    elif not found:
        render.say("nothing would change")
    return 0


@click.command()
@FOLDER
@options.JSON
def show(folder: Path, as_json: bool) -> int:
    """Show what the manifest of a folder says, with all defaults; of secrets never the value."""
    import yaml

    found = json.loads(json.dumps(_sound(folder).to_json()))
    if as_json:
        documents.emit(found)
    else:
        render.show(yaml.safe_dump(found, sort_keys=False, allow_unicode=True).rstrip())
    return 0


@click.command()
def schema() -> int:
    """Print the JSON schema of perdure.yaml.

    Editors that know YAML complete and check the file with it, when its first line is:
    # yaml-language-server: $schema=perdure.schema.json
    """
    from perdure_server.manifest.schema import json_schema

    render.show(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0


def _examine(folder: Path) -> tuple[Examined, list[PerdureError]]:
    """The manifest, and all that is wrong with it and with the functions that it names. P0110 no such folder."""
    from perdure_server.manifest.checking import wrong_handlers
    from perdure_server.manifest.exports import find_exports
    from perdure_server.manifest.manifest import read_manifest

    if not folder.is_dir():
        raise PerdureError("P0110", f"there is no folder {folder}")
    examined = read_manifest(folder)
    wrong = wrong_handlers(examined.manifest, find_exports(folder), examined.text)
    return examined, [*examined.problems, *wrong]


def _sound(folder: Path) -> Manifest:
    """Raises `Problems` with all that is wrong."""
    examined, problems = _examine(folder)
    if problems:
        raise Problems(problems)
    return examined.manifest


async def _active(remote: connect.Control, project: str) -> control.Deployment | None:
    found = (await remote.list_deployments(control.ListDeploymentsRequest(project=project))).deployments
    return next((each for each in found if each.state == "active"), None)


async def _manifest_of(remote: connect.Control, build_id: str) -> Manifest:
    """The manifest in a build, which is fetched for it."""
    from perdure_server.manifest.build import extract
    from perdure_server.manifest.manifest import load_manifest

    chunks = [chunk.data async for chunk in remote.fetch_build(FetchBlobRequest(digest=build_id))]
    with tempfile.TemporaryDirectory(prefix="perdure-plan-") as scratch:
        root = Path(scratch) / "code"
        extract(b"".join(chunks), root)
        return load_manifest(root)


def _problem(error: PerdureError) -> documents.Document:
    names = ("code", "file", "line", "column", "message", "help")
    return {name: getattr(error, name) for name in names}


def _change(change: Change) -> documents.Document:
    return dataclasses.asdict(change)
