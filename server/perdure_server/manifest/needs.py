"""What a project needs of the machines that run it: the keys `requirements` and `runs_on`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from yaml.nodes import Node, ScalarNode, SequenceNode

from perdure_server.manifest.nodes import Reader

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


def read_requirements(reader: Reader, node: Node | None) -> Requirements:
    """`none`, a file's name, a list of packages, or a mapping of `file`, `packages` and `allow_sdists`."""
    if node is None:
        return Requirements()
    if isinstance(node, ScalarNode):
        text = reader.text(node, "requirements")
        return Requirements(none=True) if text == "none" else Requirements(_file(reader, node))
    if isinstance(node, SequenceNode):
        return Requirements(packages=_packages(reader, node))
    keys = reader.mapping(node, "requirements", ("file", "packages", "allow_sdists"))
    return Requirements(
        _file(reader, keys["file"][1]) if "file" in keys else "",
        _packages(reader, keys["packages"][1]) if "packages" in keys else (),
        reader.boolean(keys["allow_sdists"][1], "allow_sdists", False) if "allow_sdists" in keys else False,
    )


def read_runs_on(reader: Reader, node: Node | None) -> Mapping[str, str]:
    """Labels that a host must have, all of them."""
    labels = {}
    for name, (key, value) in reader.mapping(node, "runs_on").items():
        if not _LABEL.fullmatch(name):
            reader.add("P0103", key, f"{name!r} is no name of a label", "use letters, digits, '.', '_', '/' and '-'")
        if (text := reader.text(value, f"label {name}")) is not None:
            labels[name] = text
    return labels


def _file(reader: Reader, node: Node) -> str:
    text = reader.text(node, "file") or ""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        reader.add("P0103", node, f"{text!r} is not in the project's folder", "name it relative to the folder")
    return text


def _packages(reader: Reader, node: Node) -> tuple[str, ...]:
    """What a requirement may say is the resolver's to judge; an option of it is not for a list of packages."""
    packages = reader.texts(node, "packages")
    for package in packages:
        if not package or package.startswith("-") or not package.isprintable():
            reader.add("P0103", node, f"{package!r} is no requirement", "write it as in `requests>=2.31`")
    return packages
