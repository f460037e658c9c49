"""Records golden journals: `python tests/golden/record.py [PROGRAM ...]`, by default those that are missing.

A golden journal is never recorded again to make a test pass: that it cannot be replayed any more is the finding.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent.parent
JOURNALS = Path(__file__).parent / "journals"


def main(names: list[str]) -> None:
    """Record the named programs, or those without a journal."""
    from support.forkserver import ForkServer
    from support.golden import write
    from support.harness import bench
    from support.programs import CASES, cases

    folder = CASES / "programs" / "golden"
    with tempfile.TemporaryDirectory() as scratch, bench(Path(scratch)) as equipment:
        for case in cases(folder):
            path = JOURNALS / f"{case.id}.json"
            if case.id in names or not (names or path.exists()):
                home = Path(scratch) / case.id
                forks: ForkServer = equipment.forks
                asked = {"entry": case.entry, "url": f"{equipment.server.url}/{case.id}", "signals": case.signals}
                home.mkdir()
                reply = forks.ask("support.golden:record", home=str(home), folder=str(folder), **asked)
                assert reply["exit"] == 0, reply["stderr"]
                write(path, reply["answer"])
                print(f"recorded {case.id}: {len(reply['answer']['entries'])} entries")


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    main(sys.argv[1:])
