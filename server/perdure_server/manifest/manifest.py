"""`perdure.yaml`: what a project says about itself. Every key is optional, and so is the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from perdure_proto.v1 import runner_pb2
from yaml.nodes import MappingNode, Node, ScalarNode

from perdure_server.core.errors import PerdureError, Problems
from perdure_server.manifest.connections import Connection
from perdure_server.manifest.limits import Limits, read_limits
from perdure_server.manifest.needs import Requirements, read_requirements, read_runs_on
from perdure_server.manifest.network import Network, read_network
from perdure_server.manifest.nodes import MAX_BYTES, Reader
from perdure_server.manifest.triggers import Trigger
from perdure_server.manifest.variables import Variable

MANIFEST_FILE: Final = "perdure.yaml"

_KEYS: Final = ("name", "python", "entry", "vars", "activities", "limits", "network", "runs_on", "requirements")
_PROJECT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(\.\d+)?")
OLDEST_PYTHON: Final = (3, 11)


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` 0 means no limit. `on` names classes of exceptions; empty: Exception."""

    attempts: int = 3
    initial_delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    jitter: float = 0.1
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActivityPolicy:
    """How calls are treated whose qualified name matches `pattern` (as fnmatch). The first match counts."""

    pattern: str
    retry: Retry | None = None
    timeout_s: float = 0.0  # 0: none
    at_most_once: bool = False
    record: bool = True  # False: run it directly, it is known to be deterministic


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
    triggers: tuple[Trigger, ...] = ()
    connections: tuple[Connection, ...] = ()
    form: Literal["perdure", "autokitteh"] = "perdure"  # whose manifest it is: events look as theirs do there

    def to_rules(self) -> list[runner_pb2.ActivityRule]:
        return [_rule(policy) for policy in self.activities]

    def resolve_vars(self, environment: Mapping[str, str], file: str = MANIFEST_FILE) -> dict[str, str]:
        """Values by name, those of `env:` from the environment. `Problems` (P0104) lists all that are missing.

        A secret without a value is left out: sessions cannot start before it is set.
        """
        values: dict[str, str] = {}
        missing: list[PerdureError] = []
        for variable in self.vars:
            value = environment.get(variable.env, variable.value) if variable.env else variable.value
            if value is not None:
                values[variable.name] = value
            if value is not None or variable.secret:
                continue
            missing.append(
                PerdureError(
                    "P0104",
                    f"variable {variable.name}: {variable.env} is not set in the environment",
                    help=f"export {variable.env}=..., or give it a `value`",
                    file=file,
                    line=variable.line or None,
                    column=variable.column or None,
                )
            )
        if missing:
            raise Problems(missing)
        return values

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the variables that are secret."""
        return frozenset(variable.name for variable in self.vars if variable.secret)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"connections": [connection.to_json() for connection in self.connections]}


def load_manifest(root: Path) -> Manifest:
    """The manifest of the project in a folder; without a file, its defaults with the folder's name.

    Raises `Problems` with everything that is wrong with it (P0101 to P0104).
    """
    path = root / MANIFEST_FILE
    name = _name_of(root)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Manifest(name)
    except OSError as error:
        raise PerdureError("P0110", f"{path} cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) <= MAX_BYTES:
            raise PerdureError("P0101", f"the file is not UTF-8 (byte {error.start})", file=MANIFEST_FILE) from None
        text = data.decode("utf-8", "replace")  # the limit cut a letter in two
    return parse_manifest(text, name)


def parse_manifest(text: str, default_name: str, file: str = MANIFEST_FILE) -> Manifest:
    """Raises `Problems` with everything that is wrong with the text."""
    reader = Reader(text, file)
    keys = reader.mapping(reader.root(), "the manifest", _KEYS)
    values = {key: value for key, (_, value) in keys.items()}
    manifest = Manifest(
        name=_matching(reader, values.get("name"), "name", _PROJECT_NAME) or default_name,
        python=_python(reader, values.get("python")),
        entry=_matching(reader, values.get("entry"), "entry", re.compile(r"[^:]+\.py:[A-Za-z_]\w*")) or "",
        vars=_variables(reader, values.get("vars")),
        activities=_activities(reader, values.get("activities")),
        limits=read_limits(reader, values.get("limits")),
        network=read_network(reader, values.get("network")),
        runs_on=read_runs_on(reader, values.get("runs_on")),
        requirements=read_requirements(reader, values.get("requirements")),
    )
    reader.raise_problems()
    return manifest


def _matching(reader: Reader, node: Node | None, what: str, form: re.Pattern[str]) -> str | None:
    text = reader.text(node, what) if node is not None else None
    if text is None or form.fullmatch(text):
        return text
    hints = {"name": "use letters, digits, '.', '_' and '-', at most 63", "entry": "write FILE.py:FUNCTION"}
    reader.add("P0103", node, f"{text!r} is no valid {what}", hints[what])
    return None


def _python(reader: Reader, node: Node | None) -> str:
    """A version, `3.12` unquoted included, although YAML takes that for a number; or a path."""
    if node is None:
        return ""
    unquoted = isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:float"
    text = str(node.value) if unquoted else reader.text(node, "python") or ""
    version = _VERSION.fullmatch(text)
    if text and "/" not in text and not (version and (int(version[1]), int(version[2])) >= OLDEST_PYTHON):
        oldest = ".".join(map(str, OLDEST_PYTHON))
        reader.add("P0103", node, f"python is no version from {oldest} on: {text!r}", "3.12, 3.12.1, or a path")
    return text


def _variables(reader: Reader, node: Node | None) -> tuple[Variable, ...]:
    found = []
    for name, (key, value) in reader.mapping(node, "vars").items():
        if not _VARIABLE_NAME.fullmatch(name):
            reader.add("P0103", key, f"{name!r} is no name of a variable", "use letters, digits and '_'")
        found.append(_variable(reader, name, key, value))
    return tuple(found)


def _variable(reader: Reader, name: str, key: Node, node: Node) -> Variable:
    line, column = key.start_mark.line + 1, key.start_mark.column + 1
    if isinstance(node, ScalarNode):
        return Variable(name, reader.text(node, f"variable {name}"), line=line, column=column)
    keys = reader.mapping(node, f"variable {name}", ("value", "secret", "env"))
    value = reader.text(keys["value"][1], "value") if "value" in keys else None
    env = reader.text(keys["env"][1], "env") if "env" in keys else None
    secret = reader.boolean(keys["secret"][1], "secret", False) if "secret" in keys else False
    if secret and value is not None:
        reader.add(
            "P0103",
            keys["value"][0],
            f"variable {name} is secret: its value is not for the manifest, which is part of the build",
            f"remove `value`, and set it with `perdure vars set {name} --secret`",
        )
        reader.problems[-1].source = None  # that line has the secret in it
    if isinstance(node, MappingNode) and not secret and "value" not in keys and "env" not in keys:
        reader.add("P0104", key, f"variable {name} has neither `value` nor `env`")
    return Variable(name, value, env, secret, line, column)


def _activities(reader: Reader, node: Node | None) -> tuple[ActivityPolicy, ...]:
    keys = reader.mapping(node, "activities")
    return tuple(_policy(reader, pattern, value) for pattern, (_, value) in keys.items())


def _policy(reader: Reader, pattern: str, node: Node) -> ActivityPolicy:
    keys = reader.mapping(node, f"activity {pattern!r}", ("retry", "timeout", "at_most_once", "record"))
    retry = _retry(reader, keys["retry"][1]) if "retry" in keys else None
    timeout_s = reader.duration(keys["timeout"][1], "timeout") if "timeout" in keys else None
    once = reader.boolean(keys["at_most_once"][1], "at_most_once", False) if "at_most_once" in keys else False
    record = reader.boolean(keys["record"][1], "record", True) if "record" in keys else True
    if not record and len(keys) > 1:
        reader.add("P0103", keys["record"][0], "what is not recorded has no retry, timeout or at_most_once")
    if once and retry is not None and retry.attempts != 1:
        reader.add("P0103", keys["at_most_once"][0], "at_most_once and retry exclude each other")
    return ActivityPolicy(pattern, retry, timeout_s or 0.0, once, record)


def _retry(reader: Reader, node: Node) -> Retry | None:
    if isinstance(node, ScalarNode):
        attempts = reader.integer(node, "retry", high=1_000_000)
        return None if attempts is None else Retry(attempts)
    keys = reader.mapping(node, "retry", ("attempts", "initial_delay", "factor", "max_delay", "jitter", "on"))
    values: dict[str, Any] = {}
    for key, (_, value) in keys.items():
        match key:
            case "attempts":
                values[key] = reader.integer(value, key, high=1_000_000)
            case "initial_delay" | "max_delay":
                values[f"{key}_s"] = reader.duration(value, key)
            case "factor":
                values[key] = reader.number(value, key, low=1.0, high=1000.0)
            case "jitter":
                values[key] = reader.number(value, key, high=1.0)
            case _:
                values[key] = reader.texts(value, key)
    return Retry(**{key: value for key, value in values.items() if value is not None})


def _rule(policy: ActivityPolicy) -> runner_pb2.ActivityRule:
    rule = runner_pb2.ActivityRule(
        pattern=policy.pattern,
        timeout_s=policy.timeout_s,
        at_most_once=policy.at_most_once,
        no_activity=not policy.record,
    )
    if policy.retry is not None:
        retry = policy.retry
        rule.retry.CopyFrom(
            runner_pb2.RetryPolicy(
                max_attempts=retry.attempts,
                initial_delay_s=retry.initial_delay_s,
                factor=retry.factor,
                max_delay_s=retry.max_delay_s,
                jitter=retry.jitter,
                retry_on=retry.on,
            )
        )
    return rule


def _name_of(root: Path) -> str:
    """The folder's name, made a valid one."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name).strip("-._")[:63]
    return name or "project"
