"""Every setting of the command line in one table, and where each value comes from.

Precedence: flag, `PERDURE_*`, `./perdure.toml`, the user's file, default.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure_server.core.errors import PerdureError, did_you_mean

PROJECT_FILE = "perdure.toml"


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError("a text")  # noqa: TRY004  # one kind of error for all wrong values
    return raw


def _seconds(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError("a number of seconds")  # noqa: TRY004  # one kind of error for all wrong values
    try:
        number = float(raw)
    except ValueError:
        raise ValueError("a number of seconds") from None
    if not 0 <= number < float("inf"):
        raise ValueError("a number of seconds from 0")
    return number


def _count(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise ValueError("a whole number")  # noqa: TRY004  # one kind of error for all wrong values
    try:
        number = int(raw)
    except ValueError:
        raise ValueError("a whole number") from None
    if number < 1:
        raise ValueError("a whole number from 1")
    return number


def _choice(*names: str) -> Callable[[object], str]:
    def convert(raw: object) -> str:
        if raw not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return str(raw)

    return convert


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `convert` turns a flag's, a variable's or a file's value into the setting's, or raises ValueError
    with what it should have been."""

    name: str
    convert: Callable[[object], Any]
    default: Any
    unit: str
    doc: str

    @property
    def variable(self) -> str:
        """The environment variable's name."""
        return f"PERDURE_{self.name.upper()}"


def _addresses(raw: object) -> str:
    """Ranges of IP addresses, as text."""
    text = _text(raw)
    for each in filter(None, map(str.strip, text.split(","))):
        try:
            ipaddress.ip_network(each)
        except ValueError:
            raise ValueError("ranges of addresses, as 10.1.0.0/16,fd00::/64") from None
    return text


RUNNER_KINDS = ("local", "docker", "ray", "none")
ISOLATIONS = ("own", "auto", "strict", "namespaces", "bubblewrap", "landlock", "plain")

SETTINGS: tuple[Setting, ...] = (
    Setting("home", _text, ".perdure", "folder", "Where a coordinator keeps its journal, builds and keys."),
    Setting("server", _text, "", "host:port", "A running coordinator to talk to; empty: the home's own."),
    Setting("project", _text, "", "name", "The project that `deploy` and `start` mean; empty: the manifest's."),
    Setting("connect_timeout", _seconds, 5.0, "seconds", "How long to wait for a named coordinator's answer."),
    Setting("grpc", _text, "127.0.0.1:0", "host:port", "Where `serve` and `dev` listen for gRPC; port 0: any free."),
    Setting("http", _text, "", "host:port", "Where they listen for HTTP; empty: `serve` does not, `dev` on port 9980."),
    Setting("public_url", _text, "", "url", "How others reach HTTP, as through a proxy; empty: by its own address."),
    Setting("grpc_hosts", _text, "", "host:port", "Where `serve` listens for hosts that joined; empty: the next port."),
    Setting("tls_name", _text, "", "names", "Names, with commas, by which `serve` is dialled over TLS; empty: no TLS."),
    Setting(
        "certificate_valid", _seconds, 86_400.0, "seconds", "How long the certificate of a host that joined lasts."
    ),
    Setting("token_file", _text, "", "file", "A token for the server; PERDURE_TOKEN, the token itself, comes first."),
    Setting(
        "runner",
        _choice(*RUNNER_KINDS),
        "local",
        "kind",
        "Who runs sessions of `serve` and `dev`: a host beside them, by processes or containers, or others.",
    ),
    Setting("ray_address", _text, "", "host:port", "The Ray cluster of `--runner ray`; empty: the machine's own."),
    Setting(
        "isolation",
        _choice("", *ISOLATIONS),
        "",
        "kind",
        "How sessions are held; empty: `auto` for `serve` and `host`, `own` for `run` and `dev`.",
    ),
    Setting("capacity", _count, 64, "sessions", "How many sessions a host started by `perdure host` runs at once."),
    Setting("state_dir", _text, ".perdure-host", "folder", "Where `perdure host` keeps extracted builds."),
    Setting("docker_url", _text, "", "address", "The Docker Engine; empty: DOCKER_HOST, else its usual socket."),
    Setting("docker_runtime", _text, "", "name", "The engine's runtime for runners, as runsc; empty: its default."),
    Setting("docker_warm", _count, 2, "containers", "Started containers that wait, for each kind sessions had lately."),
    Setting("network", _choice("none", "all"), "none", "policy", "What sessions reach whose project does not say."),
    Setting("limits", _text, "", "k=v,...", "What no project of `serve` gets more of: memory=1GiB,processes=64,..."),
    Setting(
        "shares", _text, "", "k=v,...", "What each project of `serve` has of what all share: values=1000,data=1GiB,..."
    ),
    Setting(
        "egress_allow_private",
        _addresses,
        "",
        "cidr,...",
        "Addresses of internal services, which projects of `serve` and `host` may list like public ones.",
    ),
    Setting(
        "session_retention",
        _seconds,
        2_592_000.0,
        "seconds",
        "How long `serve` keeps sessions that have ended; 0: for ever. `run` and `dev` keep all.",
    ),
    Setting("event_retention", _seconds, 2_592_000.0, "seconds", "How long `serve` keeps events; 0: for ever."),
    Setting("grace", _seconds, 10.0, "seconds", "How long `sessions stop` lets user code clean up before it kills."),
    Setting("wait_notice", _seconds, 2.0, "seconds", "A session that waits longer than this is spoken of by `run`."),
    Setting("list_limit", _count, 50, "sessions", "How many sessions `sessions list` shows."),
    Setting("debounce", _seconds, 0.2, "seconds", "How long `dev` waits for further changes before it deploys."),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A setting's value and where it came from: "flag", a variable's name, a file's path, or "default"."""

    setting: Setting
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class _Layer:
    origin: str
    values: Mapping[str, object]
    lines: Mapping[str, tuple[int, str]]


class Settings:
    """The settings of one invocation."""

    def __init__(self, layers: list[_Layer], environ: Mapping[str, str]) -> None:
        self._layers = layers
        self._environ = environ

    @classmethod
    def load(cls, folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
        """Read `perdure.toml` of `folder` (default: the current one) and the user's file.

        Raises `PerdureError`: P0101 not TOML, P0102 unknown key.
        """
        environ = os.environ if environ is None else environ
        files = [(folder or Path()) / PROJECT_FILE, user_file(environ)]
        return cls([_read(file) for file in files if file.is_file()], environ)

    def resolve(self, name: str, flag: object = None) -> Resolved:
        """The value of setting `name`, and its origin; `flag` is the flag's value or None. P0103 on a bad value."""
        setting = BY_NAME[name]
        if flag is not None:
            return self._converted(setting, flag, "flag")
        if (raw := self._environ.get(setting.variable)) is not None:
            return self._converted(setting, raw, setting.variable)
        for layer in self._layers:
            if name in layer.values:
                return self._converted(setting, layer.values[name], layer.origin, layer.lines.get(name))
        return Resolved(setting, setting.default, "default")

    def text(self, name: str, flag: str | None = None) -> str:
        """The value of a setting that is a text."""
        return str(self.resolve(name, flag).value)

    def number(self, name: str, flag: float | str | None = None) -> float:
        """The value of a setting that is a number."""
        return float(self.resolve(name, flag).value)

    def token(self) -> str:
        """What a server that is named is shown: PERDURE_TOKEN, else the content of `token_file`; empty: nothing.

        It is no setting: it is shown nowhere, and no flag carries it, because everybody can read command lines.
        """
        if token := self._environ.get("PERDURE_TOKEN"):
            return token.strip()
        if not (file := self.text("token_file")):
            return ""
        try:
            return Path(file).expanduser().read_text(encoding="utf-8", errors="replace").strip()
        except OSError as wrong:
            raise PerdureError("P0110", f"cannot read the token: {file}: {wrong.strerror}") from None

    def _converted(self, setting: Setting, raw: object, origin: str, at: tuple[int, str] | None = None) -> Resolved:
        try:
            return Resolved(setting, setting.convert(raw), origin)
        except ValueError as wrong:
            line, source = at or (None, None)
            raise PerdureError(
                "P0103",
                f"setting {setting.name!r} must be {wrong}, not {raw!r} (from {origin})",
                help=setting.doc,
                file=origin if at else None,
                line=line,
                source=source,
            ) from None


def user_file(environ: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/perdure/perdure.toml`, where XDG_CONFIG_HOME defaults to `~/.config`."""
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(base) / "perdure" / PROJECT_FILE


def _read(file: Path) -> _Layer:
    import tomllib

    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise PerdureError("P0101", f"{file} is no TOML: {wrong}", file=str(file)) from None
    lines = _lines_of_keys(text)
    for key in values:
        if key not in BY_NAME:
            line, source = lines.get(key, (None, None))
            hint = did_you_mean(key, BY_NAME) or "`perdure config` lists all settings"
            raise PerdureError("P0102", f"unknown setting {key!r}", help=hint, file=str(file), line=line, source=source)
    return _Layer(str(file), values, lines)


def _lines_of_keys(text: str) -> dict[str, tuple[int, str]]:
    """Line number (from 1) and line of every `key =` of a TOML text: tomllib keeps no positions."""
    found: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[?\s*\"?([\w-]+)\"?\s*[=\].]", line):
            found.setdefault(match[1], (number, line))
    return found
