"""What `perdure run TARGET` means: a project's folder and an entry point in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perdure_server.core.errors import PerdureError, did_you_mean
from perdure_server.manifest import scan
from perdure_server.manifest.exports import python_files, to_error
from perdure_server.manifest.manifest import Manifest, load_manifest

_FORMS: Final = "write DIR, FILE.py, FILE.py:FUNCTION or DIR:FILE.py:FUNCTION"


@dataclass(frozen=True, slots=True)
class Target:
    root: Path
    entry_point: str  # "file.py:function", the file relative to `root`


def parse_target(text: str) -> Target:
    """The target that exists. Nothing of it is run.

    Raises `PerdureError`: P0110 missing, P0111 no such handler, P0112 not a function, P0113 syntax error, P0114 bad
    form; and what `load_manifest` raises.
    """
    parts = text.split(":")
    match parts:
        case [path] if path:
            return _of_path(Path(path))
        case [file, name] if file.endswith(".py") and name:
            return _of_file(Path(file), name)
        case [folder, file, name] if folder and file.endswith(".py") and name:
            return Target(_folder(Path(folder)), check_entry_point(Path(folder), f"{file}:{name}"))
    raise PerdureError("P0114", f"{text!r} is not a target", help=_FORMS)


def default_entry_point(root: Path, manifest: Manifest) -> str:
    """The entry point of a project when a command names none. Errors as for `parse_target`."""
    if manifest.entry:
        return check_entry_point(root, manifest.entry)
    files = list(python_files(root))
    if "main.py" in files:
        return f"main.py:{_sole_handler(root, 'main.py')}"
    if len(files) == 1:
        return f"{files[0]}:{_sole_handler(root, files[0])}"
    raise PerdureError(
        "P0114",
        f"{root} does not say which function to run",
        help="name it as DIR:FILE.py:FUNCTION, or set `entry: FILE.py:FUNCTION` in perdure.yaml",
    )


def check_entry_point(root: Path, entry_point: str) -> str:
    """The entry point, when it is a function at the top level of a file below `root`. Errors as for `parse_target`."""
    file, colon, name = entry_point.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise PerdureError("P0114", f"{entry_point!r} is not an entry point", help="write FILE.py:FUNCTION")
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise PerdureError("P0114", f"{file} is not below {root}", help="the file is named relative to the folder")
    file = Path(file).as_posix()
    definitions = _definitions(root, file)
    # As in Python, the last definition of a name counts.
    found = {definition["name"]: definition for definition in definitions}.get(name)
    if found is None:
        functions = [each["name"] for each in definitions if each["kind"] == "function"]
        hint = did_you_mean(name, functions) or _list(functions) or "define it with `def` at the top level of the file"
        raise PerdureError("P0111", f"{file} has no function {name!r}", help=hint)
    if found["kind"] != "function":
        what = "a class" if found["kind"] == "class" else "a variable or an import"
        raise PerdureError("P0112", f"{name!r} is {what}, not a function", file=file, line=found["line"])
    return f"{file}:{name}"


def _of_path(path: Path) -> Target:
    if path.is_dir():
        return Target(path, default_entry_point(path, load_manifest(path)))
    if path.suffix != ".py" and path.exists():
        raise PerdureError("P0114", f"{path} is neither a folder nor a Python file", help=_FORMS)
    return Target(path.parent, f"{path.name}:{_sole_handler(path.parent, path.name)}")


def _of_file(path: Path, name: str) -> Target:
    return Target(path.parent, check_entry_point(path.parent, f"{path.name}:{name}"))


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise PerdureError("P0110", f"there is no folder {path}", help=_sibling(path))
    return path


def _sole_handler(root: Path, file: str) -> str:
    """The function that leaves no doubt: the only one with a handler's name, or the only one at all."""
    functions = sorted({each["name"] for each in _definitions(root, file) if each["kind"] == "function"})
    named = [name for name in functions if name in {"main", "handler"} or name.startswith("on_")]
    match named or functions:
        case [name]:
            return name
        case []:
            raise PerdureError("P0111", f"{file} has no function", help="define one, as `def main(event): ...`")
        case several:
            hint = f"name one as {file}:FUNCTION; {_list(several)}"
            raise PerdureError("P0114", f"{file} leaves open which function to run", help=hint)


def _definitions(root: Path, file: str) -> Sequence[scan.Definition]:
    path = root / file
    if not path.is_file():
        raise PerdureError("P0110", f"there is no file {path}", help=_sibling(path))
    found = scan.scan(str(root), file)
    if isinstance(found, list):
        return found
    raise to_error(found)


def _sibling(path: Path) -> str | None:
    """Something of nearly that name in the same folder."""
    try:
        return did_you_mean(path.name, [sibling.name for sibling in path.parent.iterdir()])
    except OSError:
        return None


def _list(names: Sequence[str]) -> str:
    return f"there are: {', '.join(names[:10])}" if names else ""
