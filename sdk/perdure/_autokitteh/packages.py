"""Packages that a project asks for while it runs."""

import re
from collections.abc import Sequence
from importlib import import_module

__all__ = ["install"]


def install(*packages: str | Sequence[str]) -> None:
    """Check that these packages can be imported: each a requirement, or (requirement, name of its module).

    A project's packages are installed when it is deployed, from its requirements.txt. Raises RuntimeError for what is
    missing.
    """
    for package in packages:
        requirement, module = (package, _module(package)) if isinstance(package, str) else _pair(package)
        try:
            import_module(module)
        except ImportError:
            raise RuntimeError(
                f"{requirement!r} is not installed: add it to the project's requirements.txt, and deploy again"
            ) from None


def _module(requirement: str) -> str:
    found = re.match(r"\w+", requirement)
    if found is None:
        raise ValueError(f"{requirement!r} is no requirement")
    return found[0]


def _pair(package: Sequence[str]) -> tuple[str, str]:
    if not isinstance(package, (list, tuple)):
        raise TypeError(f"a requirement is a text, or a requirement and a module's name, not {package!r}")
    if len(package) != 2:
        raise ValueError(f"a requirement and the name of its module are two texts, not {package!r}")
    return package[0], package[1]
