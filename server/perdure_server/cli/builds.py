"""From a TARGET or a folder on the command line to a build at the coordinator."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli.connect import Control
from perdure_server.core.errors import PerdureError

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of user code, and what of it a command means. `entry_point` is empty where none was named."""

    folder: Path
    project: str
    entry_point: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)  # these values instead of the manifest's


def resolve(target: str, project: str | None, variables: Mapping[str, str] | None = None) -> Source:
    """What TARGET (`DIR`, `FILE.py:HANDLER`, `DIR:FILE.py:HANDLER`) means. Nothing of it is run.

    Raises `PerdureError`: P0101 to P0104 the manifest, P0110 to P0114 the target.
    """
    from perdure_server.manifest.target import parse_target

    found = parse_target(target)
    return Source(found.root, _project(found.root, project), found.entry_point, variables or {})


def folder(path: Path, project: str | None) -> Source:
    """A folder without a choice of entry point. Raises `PerdureError` as `resolve` does."""
    if not path.is_dir():
        raise PerdureError("P0110", f"there is no folder {path}")
    return Source(path, _project(path, project))


def _project(root: Path, named: str | None) -> str:
    from perdure_server.manifest.manifest import load_manifest

    manifest = load_manifest(root)  # also with a name given: its faults are shown before anything is sent
    return named or manifest.name


def unreadable(source: Source) -> tuple[PerdureError, ...]:
    """Files of the folder that are no Python (P0113 each): no fault of the build, since nobody may ever import them."""
    from perdure_server.manifest.exports import find_exports

    return find_exports(source.folder).problems


def packed(source: Source) -> bytes:
    """The tarball of a folder. Raises `PerdureError` P0123, P0124."""
    from perdure_server.manifest.build import pack

    tarball = pack(source.folder)
    _, plain = _divided(source)
    return with_variables(tarball, plain) if plain else tarball


async def send(
    remote: Control, source: Source, *, build_only: bool, tarball: bytes | None = None, upgrade: bool = False
) -> control.DeployResponse:
    """Build it (or a tarball made of it before) at the coordinator, and make it live unless `build_only`.

    `upgrade`: its requirements are resolved anew.

    Raises `PerdureError`: P0110 to P0124, whatever is wrong with the folder.
    """
    tarball = tarball or packed(source)
    secret, _ = _divided(source)
    for name, value in secret.items():
        var = control.Var(name=name, value=value.encode(), secret=True)
        await remote.set_var(control.SetVarRequest(project=source.project, var=var))

    async def parts() -> AsyncIterator[control.DeployRequest]:
        header = control.DeployHeader(project=source.project, build_only=build_only, upgrade=upgrade)
        yield control.DeployRequest(header=header)
        for start in range(0, len(tarball), CHUNK_BYTES):
            yield control.DeployRequest(chunk=tarball[start : start + CHUNK_BYTES])

    return await remote.deploy(parts())


def without_secrets_in(source: Source) -> Source:
    """The source itself. P0103 when a secret was given on the command line, which the list of processes shows."""
    if secret := _divided(source)[0]:
        name = min(secret)
        raise PerdureError(
            "P0103",
            f"{name} is a secret, which no command line may hold",
            help=f"perdure vars set {name} --secret --project {source.project}",
        )
    return source


def with_secrets_of(source: Source, environment: Mapping[str, str]) -> Source:
    """The source with its secrets from variables of the same name: for a journal in memory, which has none set."""
    found = {name: environment[name] for name in _undetermined(source) if name in environment}
    return replace(source, variables={**found, **source.variables})


async def lacks(remote: Control, source: Source) -> tuple[PerdureError, ...]:
    """A warning for each value that a deployed folder's sessions will miss, and each trigger that nothing starts."""
    from perdure_server.manifest.manifest import load_manifest
    from perdure_server.manifest.unheard import unheard

    silent = unheard(load_manifest(source.folder))
    return *await _unset_secrets(remote, source), *await _incomplete_connections(remote, source), *silent


async def _incomplete_connections(remote: Control, source: Source) -> list[PerdureError]:
    """P0230 for each of the manifest's connections with which no client can be made yet: others may not be used."""
    from perdure_server.cli.connections import lacking
    from perdure_server.manifest.manifest import load_manifest

    named = {connection.name for connection in load_manifest(source.folder).connections}
    if not named:
        return []
    found = await remote.list_connections(control.ListConnectionsRequest(project=source.project))
    return [lacking(each) for each in found.connections if each.name in named and each.missing]


async def _unset_secrets(remote: Control, source: Source) -> tuple[PerdureError, ...]:
    """A warning (P0104) for each secret that nobody has set yet and no environment gives: no session starts before."""
    wanted = _undetermined(source)
    if not wanted:
        return ()
    known = {var.name for var in (await remote.list_vars(control.ListVarsRequest(project=source.project))).vars}
    return tuple(
        PerdureError(
            "P0104",
            f"the secret {name} is not set yet: no session starts before",
            help=f"perdure vars set {name} --secret --project {source.project}",
        )
        for name in sorted(wanted - known)
    )


def _undetermined(source: Source) -> set[str]:
    """Names of secrets that the manifest takes from no environment."""
    from perdure_server.manifest.manifest import load_manifest

    declared = load_manifest(source.folder).variables
    return {each.name for each in declared if each.secret and each.env is None and each.value is None}


def _divided(source: Source) -> tuple[dict[str, str], dict[str, str]]:
    """The given variables that the manifest calls secret, which no tarball may hold, and the others."""
    if not source.variables:
        return {}, {}
    from perdure_server.manifest.manifest import load_manifest

    secrets = load_manifest(source.folder).secrets
    secret = {name: value for name, value in source.variables.items() if name in secrets}
    return secret, {name: value for name, value in source.variables.items() if name not in secrets}


def with_variables(tarball: bytes, variables: Mapping[str, str]) -> bytes:
    """The same build, but for the values of some variables in its manifest, which is made where there is none."""
    from perdure_server.manifest.manifest import MANIFEST_FILES
    from perdure_server.manifest.overriding import with_values

    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(tarball)) as old,
        gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        names = old.getnames()
        file = next((name for name in MANIFEST_FILES if name in names), MANIFEST_FILES[0])
        text = b""
        for member in old:
            content = old.extractfile(member) if member.isreg() else None
            if content is not None and member.name == file:
                text = content.read()
            else:
                new.addfile(member, content)
        changed = with_values(file, text, variables)
        manifest = tarfile.TarInfo(file)
        manifest.size = len(changed)
        new.addfile(manifest, io.BytesIO(changed))
    return out.getvalue()
