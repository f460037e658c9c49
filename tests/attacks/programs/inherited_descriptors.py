"""What this process has open that it was not given on purpose."""

import os

from probing import attempt, verdict

GIVEN = ("socket:", "pipe:", "/dev/null", "/proc/")


def main(event):
    targets = {number: attempt(os.readlink, f"/proc/self/fd/{number}") for number in range(256)}
    return verdict(
        f"{number}: {target}" for number, target in targets.items() if target and not target.startswith(GIVEN)
    )
