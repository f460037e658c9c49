"""What a project needs of the machines that run it: the keys `python`, `requirements` and `runs_on`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from yaml.nodes import Node, ScalarNode, SequenceNode

from perdure_server.manifest.nodes import Reader
from perdure_server.manifest.shapes import TEXT, TEXTS, Key, Shape, any_of, boolean, object_schema, read_keys

OLDEST_PYTHON: Final = (3, 11)
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(\.\d+)?")
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")


@dataclass(frozen=True, slots=True)
class Requirements:
    """Packages of the project. Nothing said: those of its requirements.txt or pyproject.toml, if it has one.

    `file` is relative to the project's folder; `packages` are requirements in themselves ("requests>=2.31").
    """

    file: str = ""
    packages: tuple[str, ...] = ()
    allow_sdists: bool = False  # source distributions run code of theirs when they are built
    none: bool = False


def _requirements(reader: Reader, node: Node, _: str) -> Requirements:
    """`none`, a file's name, a list of packages, or a mapping of `file`, `packages` and `allow_sdists`."""
    if isinstance(node, ScalarNode):
        text = reader.text(node, "requirements")
        return Requirements(none=True) if text == "none" else Requirements(_file(reader, node))
    if isinstance(node, SequenceNode):
        return Requirements(packages=_packages(reader, node))
    return Requirements(**read_keys(reader, node, "requirements", _KEYS)[0])


def _runs_on(reader: Reader, node: Node, _: str) -> Mapping[str, str]:
    """Labels that a host must have, all of them."""
    labels = {}
    for name, (key, value) in reader.mapping(node, "runs_on").items():
        if not _LABEL.fullmatch(name):
            reader.add("P0103", key, f"{name!r} is no name of a label", "use letters, digits, '.', '_', '/' and '-'")
        if (text := reader.text(value, f"label {name}")) is not None:
            labels[name] = text
    return labels


def _python(reader: Reader, node: Node, _: str) -> str:
    """A version, `3.12` unquoted included, although YAML takes that for a number; or a path."""
    unquoted = isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:float"
    text = str(node.value) if unquoted else reader.text(node, "python") or ""
    version = _VERSION.fullmatch(text)
    if text and "/" not in text and not (version and (int(version[1]), int(version[2])) >= OLDEST_PYTHON):
        oldest = ".".join(map(str, OLDEST_PYTHON))
        reader.add("P0103", node, f"python is no version from {oldest} on: {text!r}", "3.12, 3.12.1, or a path")
    return text


def _file(reader: Reader, node: Node, _: str = "") -> str:
    text = reader.text(node, "file") or ""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        reader.add("P0103", node, f"{text!r} is not in the project's folder", "name it relative to the folder")
    return text


def _packages(reader: Reader, node: Node, _: str = "") -> tuple[str, ...]:
    """What a requirement may say is the resolver's to judge; an option of it is not for a list of packages."""
    packages = reader.texts(node, "packages")
    for package in packages:
        if not package or package.startswith("-") or not package.isprintable():
            reader.add("P0103", node, f"{package!r} is no requirement", "write it as in `requests>=2.31`")
    return packages


_KEYS: Final = {
    "file": Key(Shape(_file, TEXT.schema), "a file of requirements, in the project's folder"),
    "packages": Key(Shape(_packages, TEXTS.schema), "requirements, as in `requests>=2.31`"),
    "allow_sdists": Key(boolean(False), "source distributions too, which run code of theirs when they are built"),
}
PYTHON: Final = Shape(_python, {"type": ["string", "number"]})
REQUIREMENTS: Final = Shape(_requirements, any_of(TEXT.schema, TEXTS.schema, object_schema(_KEYS)))
RUNS_ON: Final = Shape(_runs_on, {"type": ["object", "null"], "additionalProperties": TEXT.schema})
