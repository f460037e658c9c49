"""Where user code finds its modules: the project, the standard library, the project's installed requirements."""

from __future__ import annotations

import os
import sys
from typing import Final

from perdure_runner.child import compat

_SITES: Final = frozenset({"site-packages", "dist-packages"})


def enter(root: str, environment: str) -> None:
    """Let this process import from the project's folder and, if there is one, from its environment.

    A project with requirements of its own sees these only, not what else is installed on the host: what works here
    works on every host. Its environment comes after the standard library, as site-packages do, so that an old
    backport in it cannot take the place of the real thing. Path files (`*.pth`) are not looked for in it.
    """
    if environment:
        sys.path[:] = [path for path in sys.path if not _is_installed(path)]
        sys.path.append(environment)
    sys.path.insert(0, root)
    compat.install(root)


def _is_installed(path: str) -> bool:
    """Is it outside of the standard library? A development installation's folders are, too."""
    if not _SITES.isdisjoint(path.split(os.sep)):
        return True
    return not any(_within(path, home) for home in (sys.base_prefix, sys.base_exec_prefix))


def _within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
