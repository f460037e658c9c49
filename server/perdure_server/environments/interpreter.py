"""For which Python requirements are resolved, without running any."""

from __future__ import annotations

import os
import re
import sys
from typing import Final

from perdure_server.core.errors import PerdureError
from perdure_server.manifest.manifest import MANIFEST_FILE

_VERSION: Final = re.compile(r"3\.\d+(?=\.|$)")
_FILE: Final = re.compile(r"python(3\.\d+)[a-z]*")


def minor_version(python: str) -> str:
    """The minor version that the manifest's `python` means; "" is that of the host beside the coordinator, so ours.

    Raises `PerdureError` P0303 for a path that does not tell: nothing that a project names is run here.
    """
    if not python or python == sys.executable:
        return "{}.{}".format(*sys.version_info)
    if (version := _VERSION.match(python)) is not None:
        return version[0]
    if (named := _FILE.fullmatch(os.path.basename(os.path.realpath(python)))) is not None:
        return named[1]
    raise PerdureError(
        "P0303",
        f"requirements are resolved for a version of Python, which {python} does not tell",
        help='say the version: `python: "3.12"`',
        file=MANIFEST_FILE,
    )
