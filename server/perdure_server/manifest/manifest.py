"""`perdure.yaml`: what a project says about itself. Every key is optional, and so is the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from perdure_server.core.errors import PerdureError, Problems
from perdure_server.manifest.autokitteh import AUTOKITTEH_FILE, read_autokitteh
from perdure_server.manifest.composing import MAX_BYTES
from perdure_server.manifest.connections import CONNECTIONS, Connection
from perdure_server.manifest.limits import LIMITS, Limits
from perdure_server.manifest.needs import PYTHON, REQUIREMENTS, RUNS_ON, Requirements
from perdure_server.manifest.network import NETWORK, Network
from perdure_server.manifest.nodes import Reader
from perdure_server.manifest.policies import ACTIVITIES, ActivityPolicy
from perdure_server.manifest.references import check_references
from perdure_server.manifest.shapes import TEXTS, Key, matching, read_keys
from perdure_server.manifest.trigger_keys import ENTRY, TRIGGERS
from perdure_server.manifest.triggers import Trigger
from perdure_server.manifest.values import values_of
from perdure_server.manifest.variables import VARIABLES, Variable

MANIFEST_FILE: Final = "perdure.yaml"
MANIFEST_FILES: Final = (MANIFEST_FILE, AUTOKITTEH_FILE)
"""The first one that a folder has counts."""

_NAME: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str
    python: str = ""  # version or path of the runners' interpreter; empty: the host's own
    entry: str = ""  # "file.py:handler" when a command names none
    vars: tuple[Variable, ...] = ()
    activities: tuple[ActivityPolicy, ...] = ()
    limits: Limits = field(default_factory=Limits)
    network: Network = field(default_factory=Network)
    runs_on: Mapping[str, str] = field(default_factory=dict)  # labels that a host must have
    requirements: Requirements = field(default_factory=Requirements)
    callers: tuple[str, ...] = ()  # projects whose sessions may start sessions of this one; "*": all
    triggers: tuple[Trigger, ...] = ()
    connections: tuple[Connection, ...] = ()
    form: Literal["perdure", "autokitteh"] = "perdure"  # whose manifest it is: events look as theirs do there

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What sessions find in their environment: `vars`, then those of connections as NAME__KEY."""
        theirs = [each for connection in self.connections for each in connection.variables()]
        return tuple({each.name: each for each in (*theirs, *self.vars)}.values())

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the variables that are secret."""
        return frozenset(variable.name for variable in self.variables if variable.secret)

    @property
    def file(self) -> str:
        """The name of the file that it is read from."""
        return AUTOKITTEH_FILE if self.form == "autokitteh" else MANIFEST_FILE

    def resolve_vars(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Values by name. `Problems` (P0104, P0108) lists all that the environment lacks.

        A secret without a value is left out: sessions cannot start before it is set.
        """
        return values_of(self.variables, environment, self.file, plain=self.form == "autokitteh")

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the values of what is secret."""
        data = asdict(self) | {"connections": [connection.to_json() for connection in self.connections]}
        for each in data["vars"]:
            if each["secret"]:
                each["value"] = None
        return data


KEYS: Final = {
    "name": Key(matching(_NAME, "use letters, digits, '.', '_' and '-', at most 63"), "default: the folder's name"),
    "python": Key(PYTHON, "version or path of the runners' interpreter; default: the host's own"),
    "entry": Key(ENTRY, "FILE.py:FUNCTION that `perdure run` starts when it names none"),
    "vars": Key(VARIABLES, "the environment of the project's sessions, fixed when it is deployed"),
    "connections": Key(CONNECTIONS, "named credentials for services"),
    "triggers": Key(TRIGGERS, "what starts sessions"),
    "activities": Key(ACTIVITIES, "how calls are treated; the first pattern that matches a qualified name counts"),
    "limits": Key(LIMITS, "what one session may use, and how many a deployment may have; 0: no limit"),
    "network": Key(NETWORK, "what sessions may reach: none, all, or a list of hosts"),
    "runs_on": Key(RUNS_ON, "labels that a host must have"),
    "callers": Key(TEXTS, 'other projects whose sessions may start sessions of this one; "*": all; default: none'),
    "requirements": Key(REQUIREMENTS, "packages; default: what requirements.txt or pyproject.toml say"),
}


def has_manifest(root: Path) -> bool:
    """Whether a folder says itself that it is a project: every key is optional, and so is the file."""
    return any((root / name).is_file() for name in MANIFEST_FILES)


def load_manifest(root: Path) -> Manifest:
    """The manifest of the project in a folder: perdure.yaml, else autokitteh.yaml, else its defaults.

    Raises `Problems` with everything that is wrong with it (P0101 to P0109, P0230); P0110 when it cannot be read.
    """
    return read_manifest(root).sound()


@dataclass(frozen=True, slots=True)
class Examined:
    """A manifest as far as it could be read, and everything that is wrong with it, in order of its place."""

    manifest: Manifest
    problems: tuple[PerdureError, ...] = ()
    text: str = ""

    def sound(self) -> Manifest:
        """Raises `Problems`, when there are any."""
        if self.problems:
            raise Problems(self.problems)
        return self.manifest


def read_manifest(root: Path) -> Examined:
    """As `load_manifest`, but what is wrong is told apart. Raises P0101 no text, P0110 cannot be read."""
    name = name_of(root)
    for file in MANIFEST_FILES:
        text = _text(root, file)
        if text is not None:
            return examine(text, name, file)
    return Examined(Manifest(name))


def examine(text: str, name: str, file: str) -> Examined:
    """What a manifest says; `name` is the project's where it names none, `file` tells whose form the text has."""
    theirs = file == AUTOKITTEH_FILE
    reader = Reader(text, file, unknown="P0109" if theirs else "P0102", shelves=theirs)
    try:
        manifest = _theirs(reader, name) if theirs else _ours(reader, name)
        check_references(reader, manifest.connections, manifest.triggers, manifest.variables)
    except Problems as very_many:
        return Examined(Manifest(name), very_many.problems, text)
    return Examined(manifest, reader.told(), text)


def _ours(reader: Reader, name: str) -> Manifest:
    root = reader.root()
    values = read_keys(reader, root, "the manifest", KEYS)[0] if root is not None else {}
    return Manifest(**{"name": name} | values)


def _theirs(reader: Reader, name: str) -> Manifest:
    """Sessions of theirs reach whatever they like: so do they here."""
    found = read_autokitteh(reader)
    return Manifest(
        name=found.name or name,
        vars=found.vars,
        network=Network("all"),
        triggers=found.triggers,
        connections=found.connections,
        form="autokitteh",
    )


def _text(root: Path, file: str) -> str | None:
    """None: there is no such file. Raises `PerdureError` P0101 no text, P0110 cannot be read."""
    path = root / file
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PerdureError("P0110", f"{path} cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) <= MAX_BYTES:
            raise PerdureError("P0101", f"the file is not UTF-8 (byte {error.start})", file=file) from None
        return data.decode("utf-8", "replace")  # the limit cut a letter in two


def name_of(root: Path) -> str:
    """The folder's name, made a valid one."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name).strip("-._")[:63]
    return name or "project"
