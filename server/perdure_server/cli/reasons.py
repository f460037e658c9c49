"""Why each call of a session's journal is recorded, for `sessions history --why`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1.runner_pb2 import FetchBlobRequest

from perdure_server.cli import scanning
from perdure_server.cli.connect import Control
from perdure_server.manifest.build import extract

_SYSTEM = frozenset({journal.ENTRY_KIND_WAIT, journal.ENTRY_KIND_SYSTEM})
_RUN_TIME = {
    journal.ENTRY_KIND_MARKER: "a local source of nondeterminism, as was known when it ran",
    journal.ENTRY_KIND_STARTED: "comes from outside of the project, as was known when it ran",
    journal.ENTRY_KIND_ACTIVITY: "comes from outside of the project, as was known when it ran",
}


@dataclass(frozen=True, slots=True)
class Reasons:
    """What the source of the session's build says of its calls, by file, line and function."""

    sites: Mapping[tuple[str, int, str], scanning.Site]

    def of(self, entry: journal.Entry) -> str:
        """Why this row is there; empty for rows that only go on with a call."""
        if entry.kind in {journal.ENTRY_KIND_RESOLVED, journal.ENTRY_KIND_RETRY}:
            return ""
        if entry.kind in _SYSTEM:
            return "is answered by perdure"
        site = self.sites.get((entry.site.file, entry.site.line, entry.function))
        return site.why if site else _RUN_TIME.get(entry.kind, "")


async def reasons_of(remote: Control, session_id: str) -> Reasons:
    """Look at the source of a session's build, which is fetched for it.

    Raises `PerdureError`: P0204 unknown session; and what `scanning.scan` raises.
    """
    session = await remote.get_session(control.GetSessionRequest(session_id=session_id))
    chunks = [chunk.data async for chunk in remote.fetch_build(FetchBlobRequest(digest=session.build_id))]
    with tempfile.TemporaryDirectory(prefix="perdure-why-") as scratch:
        root = Path(scratch) / "code"
        extract(b"".join(chunks), root)
        found = await scanning.scan(root)
    return Reasons({(site.file, site.line, site.function): site for site in found})
