"""The build's own step: what is in C, where there is a compiler and a version of CPython that it knows."""

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_TARGET = "perdure_runner/child"


class SitesBuildHook(BuildHookInterface[Any]):
    """Adds the extension modules to a wheel; for an editable install they are made beside their sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, or say why not: the package works without."""
        builder = runpy.run_path(str(Path(self.root, "build_sites.py")))
        build_data["infer_tag"] = True  # even when it could not be built: it is for this interpreter that it was tried
        build_data["pure_python"] = False
        self._work = tempfile.TemporaryDirectory(prefix="perdure-sites-")
        folder = builder["CHILD"] if version == "editable" else Path(self._work.name)
        for name in builder["MODULES"]:
            try:
                module = builder["build"](folder, name)
            except RuntimeError as error:
                self.app.display_warning(f"{name} is not compiled, so sessions are slower or larger: {error}")
                continue
            if version != "editable":
                build_data["force_include"][str(module)] = f"{_TARGET}/{module.relative_to(folder)}"

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Remove what the wheel has taken in."""
        self._work.cleanup()
