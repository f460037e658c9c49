"""Where packages come from: what the operator of this machine has told uv or pip, and nothing else.

uv's own variables come first, then pip's, then pip's files. All of it is handed to uv as environment variables, since
addresses of indexes may hold passwords, and command lines are for everyone to read. No `uv.toml` is looked for: one
that counts is named in UV_CONFIG_FILE.
"""

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_KEPT = frozenset(
    {
        *("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *(
            "UV_CACHE_DIR",
            "UV_CONCURRENT_DOWNLOADS",
            "UV_CONFIG_FILE",
            "UV_DEFAULT_INDEX",
            "UV_EXCLUDE_NEWER",
            "UV_EXTRA_INDEX_URL",
            "UV_FIND_LINKS",
        ),
        *(
            "UV_HTTP_RETRIES",
            "UV_HTTP_TIMEOUT",
            "UV_INSECURE_HOST",
            "UV_KEYRING_PROVIDER",
            "UV_NATIVE_TLS",
            "UV_OFFLINE",
            "UV_SYSTEM_CERTS",
        ),
    }
)
_KEPT_BEGINNING = "UV_INDEX"  # UV_INDEX, UV_INDEX_URL, UV_INDEX_STRATEGY, UV_INDEX_<NAME>_PASSWORD, ...

_OF_PIP: Mapping[str, tuple[str, ...]] = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", "UV_INDEX"),
    "find-links": ("UV_FIND_LINKS",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "cert": ("SSL_CERT_FILE",),
    "proxy": ("ALL_PROXY", "HTTPS_PROXY", "https_proxy", "all_proxy"),
}
"""pip's setting -> uv's variable for it, and others of the same meaning: where one is set, pip's does not count."""
_SEPARATOR = {"find-links": ","}  # pip's lists are separated by blanks, as uv's others are
_SECTIONS = ("global", "install")
_TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Indexes:
    """The environment of uv, and whether it may ask indexes at all (else the find-links are all there is)."""

    environment: Mapping[str, str]
    no_index: bool = False

    @property
    def arguments(self) -> list[str]:
        """What uv has no variable for."""
        found = [] if "UV_CONFIG_FILE" in self.environment else ["--no-config"]
        return [*found, "--no-index"] if self.no_index else found


def indexes(environ: Mapping[str, str] = os.environ, files: list[Path] | None = None) -> Indexes:
    """Read the settings of this machine. `files` are pip's, the last one counts most; None: where pip looks."""
    pip = _pip_settings(environ, pip_files(environ) if files is None else files)
    chosen = {name: value for name, value in environ.items() if name in _KEPT or name.startswith(_KEPT_BEGINNING)}
    for setting, (name, *others) in _OF_PIP.items():
        value = pip.get(setting, "")
        if value and not any(each in chosen for each in (name, *others)):
            chosen[name] = _SEPARATOR.get(setting, " ").join(value.split())
    if "extra-index-url" in pip:
        # What pip calls extra, it asks as well as the others: a package may have its only fitting file there. The order
        # still counts, so that no version elsewhere can take the place of one that fits.
        chosen.setdefault("UV_INDEX_STRATEGY", "unsafe-first-match")
    no_index = environ.get("UV_NO_INDEX") or pip.get("no-index", "")
    return Indexes(chosen, no_index.lower() in _TRUE)


def pip_files(environ: Mapping[str, str]) -> list[Path]:
    """The configuration files that pip reads, the last one counts most."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = Path(environ.get("HOME") or Path.home())
    everywhere = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path(folder) / "pip" / "pip.conf" for folder in everywhere.split(os.pathsep)]
    files += [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", own / "pip" / "pip.conf"]
    files.append(Path(sys.prefix) / "pip.conf")
    return [*files, Path(named)] if named else files


def _pip_settings(environ: Mapping[str, str], files: list[Path]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for path in files:
        settings.update(_of_file(path))
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return  # pip itself will tell the operator
    for section in _SECTIONS:
        if parser.has_section(section):
            yield from ((name.replace("_", "-"), value) for name, value in parser.items(section))
