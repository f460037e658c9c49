"""The variables of projects: what a deployment has snapshotted, and what `perdure vars set` puts in its place."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator.builds import Builds
from perdure_server.coordinator.clock import Clock
from perdure_server.core import integrations
from perdure_server.core.errors import PerdureError
from perdure_server.secrets import Vault
from perdure_server.secrets.rotating import about, needed_keys, note_key
from perdure_server.store import Deployment, Mutation, Store, Transaction, VarRow

T = TypeVar("T")

# A runner gets all of them in one frame.
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_VARS: Final = 500  # of one project
MAX_ALL_BYTES: Final = 1024 * 1024
_KEPT: Final = 1_000  # projects in the cache
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_PROJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Given:
    """What a runner gets: values by name, and the names of those that nobody else may see."""

    values: Mapping[str, str]
    secrets: tuple[str, ...]


class Variables:
    """A cache over the store, which no one else writes. What is secret is kept sealed here, too."""

    def __init__(self, store: Store, vault: Vault, builds: Builds, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._builds = builds
        self._clock = clock
        self._rows: dict[str, Mapping[str, VarRow]] = {}
        self.changed: Callable[[str], None] = lambda _project: None  # told the project that has others now
        self._store_lock = asyncio.Lock()  # nothing older than the last write may come into the cache

    async def start(self) -> None:
        """P0220 when a key is missing without which something of the home cannot be opened."""
        needed = await asyncio.to_thread(needed_keys, self._store)
        self._vault.require(needed)
        if needed and self._vault.key_id not in needed:
            await self._ready()

    async def of(self, project: str, deployment_id: str) -> Given:
        """What a runner of the deployment gets now. P0209 when a sealed value is damaged."""
        given = await self._given(project, await self._builds.deployment(deployment_id))
        values = {name: value for name, value in given.values.items() if not _is_withheld(name)}
        return Given(values, tuple(name for name in given.secrets if name in values))

    async def _given(self, project: str, deployment: Deployment | None, prefix: str = "") -> Given:
        """Those whose names begin so, in clear."""
        rows = {name: row for name, row in (await self._of_project(project)).items() if name.startswith(prefix)}
        values: dict[str, str] = {}
        secret = _secret_names(deployment) | {name for name, row in rows.items() if row.secret}
        if deployment is not None:
            for name, value in deployment.vars.items():
                if name not in rows and name.startswith(prefix):
                    values[name] = self._open(deployment, name, value) if name in secret else value
        for name, row in rows.items():
            data = self._vault.unseal(row.value, about(project, name)) if row.key_id else row.value
            values[name] = data.decode()
        return Given(values, tuple(sorted(secret & values.keys())))

    async def check(self, project: str, deployment_id: str) -> None:
        """P0104 when a secret that the manifest asks for has no value yet."""
        deployment = await self._builds.deployment(deployment_id)
        if deployment is None:
            return
        unset = _secret_names(deployment) - deployment.vars.keys()
        if unset:
            unset -= (await self._of_project(project)).keys()
        if unset:
            name = min(unset)
            more = f" (and {len(unset) - 1} more)" if len(unset) > 1 else ""
            raise PerdureError(
                "P0104",
                f"the secret {name}{more} of project {project!r} is not set",
                help=f"perdure vars set {name} --secret --project {project}",
            )

    async def snapshot(self, deployment_id: str, values: Mapping[str, str], secret: Collection[str]) -> dict[str, str]:
        """Values as a deployment's row may hold them."""
        if not secret & values.keys():
            return dict(values)
        await self._ready()
        return {
            name: _sealed_text(self._vault, deployment_id, name, value) if name in secret else value
            for name, value in values.items()
        }

    async def snapshot_again(self, older: Deployment, deployment_id: str) -> dict[str, str]:
        """The variables of an older deployment, as the row of a new one may hold them. P0209, P0220 as `of`."""
        secret = _secret_names(older)
        opened = {name: self._open(older, name, text) if name in secret else text for name, text in older.vars.items()}
        return await self.snapshot(deployment_id, opened, secret)

    async def set(self, project: str, name: str, value: bytes, *, secret: bool) -> None:
        """Durable when it returns. P0103 when it cannot be a variable, P0402 when it is too large."""
        await self.set_all(project, {name: (value, secret)})

    async def set_all(
        self,
        project: str,
        values: Mapping[str, tuple[bytes, bool]],
        also: Callable[[Transaction], None] = lambda _: None,
    ) -> None:
        """Several values, each with whether it is secret, and what else is written with them: all or nothing."""
        for name, (value, _) in values.items():
            _check(project, name, value)
        known = await self._of_project(project)
        others = [row for row in known.values() if row.name not in values]
        if len(others) + len(values) > MAX_VARS:
            raise PerdureError("P0103", f"project {project!r} has {MAX_VARS} variables already")
        if sum(len(row.value) for row in others) + sum(len(value) for value, _ in values.values()) > MAX_ALL_BYTES:
            raise PerdureError("P0402", f"all variables of project {project!r} have more than {MAX_ALL_BYTES} bytes")
        hidden = _secret_names(await self._builds.active(project)) | {row.name for row in known.values() if row.secret}
        hidden |= {name for name, (_, secret) in values.items() if secret}
        key_id = await self._ready() if hidden & values.keys() else ""
        rows = [
            self._row(project, name, value, key_id if name in hidden else "") for name, (value, _) in values.items()
        ]

        def write(transaction: Transaction) -> None:
            for row in rows:
                transaction.put_var(row)
            also(transaction)

        await self._write(project, write)

    def _row(self, project: str, name: str, value: bytes, key_id: str) -> VarRow:
        kept = self._vault.seal(value, about(project, name)) if key_id else value
        return VarRow(project, name, kept, bool(key_id), key_id, self._clock.now_us())

    async def change(self, project: str, write: Callable[[Transaction], T]) -> T:
        """Anything else that changes variables of a project."""
        return await self._write(project, write)

    async def set_apart(self, project: str) -> Collection[str]:
        """Names of the variables that are not the manifest's. It does not wait, but for the first time."""
        return (await self._of_project(project)).keys()

    async def names(self, project: str) -> frozenset[str]:
        """Of all variables that sessions of the project get, as far as they have a value."""
        active = await self._builds.active(project)
        return frozenset((await self._of_project(project)).keys() | (active.vars.keys() if active else frozenset()))

    async def opened(self, project: str, prefix: str) -> dict[str, str]:
        """Values in clear, of the variables whose names begin so."""
        active = await self._builds.active(project)
        return dict((await self._given(project, active, prefix)).values)

    async def unset(self, project: str, name: str) -> bool:
        """Whether there was one."""
        return await self._write(project, lambda transaction: transaction.delete_var(project, name))

    async def list(self, project: str) -> list[pb.Var]:
        """By name; of secret ones without the value."""
        rows = (await self._of_project(project)).values()
        return [
            pb.Var(name=row.name, value=b"" if row.secret else row.value, secret=row.secret, set_us=row.set_us)
            for row in rows
        ]

    async def _of_project(self, project: str) -> Mapping[str, VarRow]:
        if (known := self._rows.get(project)) is not None:
            return known
        async with self._store_lock:
            rows = await asyncio.to_thread(self._store.vars, project)
            if len(self._rows) >= _KEPT:  # people ask after projects that there never were, too
                self._rows.clear()
            known = self._rows[project] = {row.name: row for row in rows}
        return known

    async def _write(self, project: str, write: Callable[[Transaction], T]) -> T:
        async with self._store_lock:
            done: Any = await self._store.commit(Mutation(write))
            self._rows.pop(project, None)
        self.changed(project)
        written: T = done.value
        return written

    async def _ready(self) -> str:
        """A key to seal with, whose use is on record before anything is sealed with it."""
        key_id = await asyncio.to_thread(self._vault.make_ready)
        now_us = self._clock.now_us()

        def note(transaction: Transaction) -> None:
            note_key(transaction, key_id, now_us)

        await self._store.commit(Mutation(note))
        return key_id

    def _open(self, deployment: Deployment, name: str, text: str) -> str:
        return self._vault.unseal(base64.b64decode(text), _of_deployment(deployment.deployment_id, name)).decode()


def _sealed_text(vault: Vault, deployment_id: str, name: str, value: str) -> str:
    return base64.b64encode(vault.seal(value.encode(), _of_deployment(deployment_id, name))).decode()


def _of_deployment(deployment_id: str, name: str) -> bytes:
    return b"\0".join((b"deployment", deployment_id.encode(), name.encode()))


def _secret_names(deployment: Deployment | None) -> set[str]:
    """Names that the manifest calls secret; `settings` is that of `Manifest.to_json`."""
    if deployment is None:
        return set()
    declared: list[dict[str, Any]] = deployment.settings.get("vars", [])
    return {variable["name"] for variable in declared if variable["secret"]}


def _is_withheld(name: str) -> bool:
    """Is it a value of a connection that stays with the coordinator?"""
    connection, separator, key = name.partition(integrations.SEPARATOR)
    return bool(connection and separator) and key in integrations.WITHHELD


def _check(project: str, name: str, value: bytes) -> None:
    if not _PROJECT.fullmatch(project):
        raise PerdureError("P0103", f"{project[:80]!r} is no name of a project", help="name it with --project")
    if not _NAME.fullmatch(name):
        raise PerdureError("P0103", f"{name[:80]!r} is no name of a variable", help="use letters, digits and '_'")
    if len(value) > MAX_VALUE_BYTES:
        raise PerdureError("P0402", f"variable {name} has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise PerdureError("P0103", f"variable {name} is not UTF-8", help="encode it, in base64 for example") from None
    if "\0" in text:
        raise PerdureError("P0103", f"variable {name} holds a zero byte, which no environment can")
