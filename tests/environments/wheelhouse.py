"""A folder of packages that stands for an index: no network is needed."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


class Wheelhouse:
    """Wheels and source distributions made by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def variables(self) -> dict[str, str]:
        """What an operator sets to have packages come from here, and from nowhere else."""
        cache = self.folder.with_name("uv-cache")
        return {
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(self.folder),
            "UV_CACHE_DIR": str(cache),
            "PIP_CONFIG_FILE": "/dev/null",
        }

    def wheel(
        self,
        name: str,
        version: str,
        files: Mapping[str, str] | None = None,
        requires: Sequence[str] = (),
        tag: str = "py3-none-any",
    ) -> Path:
        """A wheel; without files, of one module whose VERSION is the package's."""
        module = name.replace("-", "_")
        path = self.folder / f"{module}-{version}-{tag}.whl"
        info = f"{module}-{version}.dist-info"
        content = dict(files or {f"{module}.py": f"VERSION = {version!r}\n"})
        content[f"{info}/METADATA"] = _metadata(name, version, requires)
        content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
        record = "".join(f"{file},sha256={_digest(text)},{len(text)}\n" for file, text in content.items())
        content[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
        with zipfile.ZipFile(path, "w") as archive:
            for file, text in content.items():
                archive.writestr(zipfile.ZipInfo(file), text)  # of 1980: the same wheel again
        return path

    def source(self, name: str, version: str, backend: str) -> Path:
        """A source distribution with a build backend of this text, whose metadata only the backend tells."""
        path = self.folder / f"{name.replace('-', '_')}-{version}.tar.gz"
        project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        files = {
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": project,
            "backend.py": backend,
        }
        with tarfile.open(path, "w:gz") as archive:
            for file, text in files.items():
                info = tarfile.TarInfo(f"{name.replace('-', '_')}-{version}/{file}")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        return path


def _metadata(name: str, version: str, requires: Sequence[str]) -> str:
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
