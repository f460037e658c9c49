"""Does a build have the function that a session is to begin with? Told before the session is made.

What a build exports is known since its deploy, without the names that its code makes when it runs. So a name that is no
export is looked for in the text of its file, and refused only where nothing there can make it (`binding`): what is
allowed here may fail later, but what is refused here would have failed.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
import zlib
from typing import Any, Final

from perdure_server.coordinator.binding import can_have
from perdure_server.coordinator.turns import Turns
from perdure_server.core.errors import PerdureError, did_you_mean
from perdure_server.manifest.scan import MAX_SOURCE_BYTES
from perdure_server.store import Store
from perdure_server.store.blobs import BlobStore

_KEPT: Final = 10_000  # entry points that are known to be good
_THREADS: Final = 2


class Entries:
    """A cache over the builds of the store: a build never changes."""

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        self._store = store
        self._blobs = blobs
        self._good: set[tuple[str, str]] = set()
        self._turns = Turns(_THREADS, "perdure-entries")  # builds are large, and code may guess names all day

    async def check(self, project: str, build_id: str, entry_point: str) -> None:
        """For a session of this project.

        Raises P0114 when the handler is no name, P0110 without the file, P0111 when the file cannot have such a name.
        """
        if (build_id, entry_point) in self._good:
            return
        path, _, name = entry_point.rpartition(":")
        if not name.isidentifier():
            raise PerdureError("P0114", f"{entry_point[:200]!r} is no entry point", help="name it as file.py:handler")
        # As the runner does: from the file to the module, from there to what Python imports.
        module = path.removesuffix(".py").replace(".", "/").removesuffix("/__init__")
        files = (f"{module}.py", f"{module}/__init__.py")
        row = await asyncio.to_thread(self._store.build, build_id)
        exports = row.exports if row else ()
        if not any(each["file"] in files and each["name"] == name for each in exports):
            await self._turns.run(project, self._look, build_id, files, name, exports)
        if len(self._good) >= _KEPT:
            self._good.clear()
        self._good.add((build_id, entry_point))

    def _look(self, build_id: str, files: tuple[str, ...], name: str, exports: Any) -> None:
        try:
            found = _read(self._blobs.get(build_id), files)
        except (PerdureError, tarfile.TarError, zlib.error, EOFError, OSError):
            return  # its host will say what is wrong with the build
        if found is None:
            known = sorted({each["file"] for each in exports})
            raise PerdureError("P0110", f"the build has no file {files[0]}", help=did_you_mean(files[0], known))
        file, source = found
        if can_have(source, name):
            return
        names = [each["name"] for each in exports if each["file"] == file]
        there = f"there are: {', '.join(names[:10])}" if names else "define it with `def` at the top level of the file"
        raise PerdureError("P0111", f"{file} has no function {name!r}", help=did_you_mean(name, names) or there)


def _read(tarball: bytes, files: tuple[str, ...]) -> tuple[str, bytes] | None:
    """The first of `files` that is in the build. A link stands for whatever it leads to: its text is in doubt."""
    links = False
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:*") as tar:
        for member in tar:
            if member.isfile() and member.name in files:
                stream = tar.extractfile(member)
                assert stream is not None
                return member.name, stream.read(MAX_SOURCE_BYTES + 1)
            links = links or member.issym() or member.islnk()
    return (files[0], b"import *") if links else None
