"""The build's own step: the compiled call sites, where there is a compiler and a version of CPython that they know."""

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_TARGET = "perdure_runner/child/patching"


class SitesBuildHook(BuildHookInterface[Any]):
    """Adds the extension module to a wheel; for an editable install it is made beside its sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, or say why not: the package works without."""
        builder = runpy.run_path(str(Path(self.root, "build_sites.py")))
        build_data["infer_tag"] = True  # even when it could not be built: it is for this interpreter that it was tried
        build_data["pure_python"] = False
        self._work = tempfile.TemporaryDirectory(prefix="perdure-sites-")
        folder = builder["SOURCES"] if version == "editable" else Path(self._work.name)
        try:
            module = builder["build"](folder)
        except RuntimeError as error:
            self.app.display_warning(f"call sites will be pure Python, and slower: {error}")
            return
        if version != "editable":
            build_data["force_include"][str(module)] = f"{_TARGET}/{module.name}"

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Remove what the wheel has taken in."""
        self._work.cleanup()
