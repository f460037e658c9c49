"""The module `autokitteh` for projects written for AutoKitteh.

`perdure._autokitteh` is imported under that name where the project has not installed the real one. If it has, each of
its modules gets the functions of ours that has the same name, as soon as it is loaded: they talk to this session.
A project's own module of that name is left alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any, Final

import perdure

NAME: Final = "autokitteh"

_OURS: Final = "perdure._autokitteh"
_FOLDER: Final = os.path.join(os.path.dirname(perdure.__file__), "_autokitteh")


def install(root: str) -> None:
    """Let this process import `autokitteh`, whatever is installed; but not in place of a module of the build `root`."""
    sys.meta_path[:] = [_Finder(root), *(each for each in sys.meta_path if type(each) is not _Finder)]


class _Finder:
    """Stands first, and is about one name only."""

    def __init__(self, root: str) -> None:
        self._root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder.find_spec`."""
        if fullname.partition(".")[0] != NAME:
            return None
        spec = self._others(fullname, path, target)
        if spec is None:
            return _ours() if fullname == NAME else None
        if spec.loader is not None and self._is_real(spec.origin) and _has_twin(fullname):
            spec.loader = _Binding(spec.loader)
        return spec

    def _is_real(self, origin: str | None) -> bool:
        """Is it a file of the real package, and neither one of ours nor the project's own?"""
        return origin is not None and not any(origin.startswith(each + os.sep) for each in (_FOLDER, self._root))

    def _others(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """What the rest of the import system finds."""
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(fullname, path, target)) is not None:
                return spec
        return None


def _ours() -> ModuleSpec | None:
    origin = os.path.join(_FOLDER, "__init__.py")
    return spec_from_file_location(NAME, origin, submodule_search_locations=[_FOLDER])


def _has_twin(fullname: str) -> bool:
    tail = fullname.removeprefix(NAME).removeprefix(".") or "__init__"
    return os.path.isfile(os.path.join(_FOLDER, f"{tail}.py"))


class _Binding(Loader):
    """Loads a module of the real package, and then puts our functions in place of its own."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the real loader does."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """As the real loader does; what our module of the same name says it has, and that one too, is ours then."""
        self._loader.exec_module(module)
        twin = import_module(_OURS + module.__name__.removeprefix(NAME))
        for name in twin.__all__:
            ours = getattr(twin, name)
            if name in vars(module) and not isinstance(ours, ModuleType):
                setattr(module, name, ours)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
