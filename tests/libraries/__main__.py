"""`python -m tests.libraries [NAME ...]`: the own tests of popular libraries, plainly and through the hook, as a table.

The exit code is 1 if a test ends otherwise through the hook than plainly.
"""

import sys
import tempfile
from pathlib import Path

from .comparing import compare
from .sources import LIBRARIES, fetch


def main() -> int:
    """Compare the libraries named on the command line, or all."""
    fetch()
    found = []
    print(f"{'library':<16} {'modules':>8} {'tests':>8} {'passed':>8} {'differences':>12}", flush=True)
    with tempfile.TemporaryDirectory(prefix="libraries-") as folder:
        for library in LIBRARIES:
            if sys.argv[1:] and library.name not in sys.argv[1:]:
                continue
            compared = compare(library, Path(folder))
            now, differences = compared.hooked, compared.differences
            passed = sum(outcome == "passed" for outcome in now.outcomes.values())
            row = f"{now.hooked:>8} {len(now.outcomes):>8} {passed:>8} {len(differences):>12}"
            print(f"{library.name:<16} {row}", flush=True)
            found += differences
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
