"""What is seen from outside when an attack is over. Each gives what leaked, "" if nothing did."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attacks.running import Ran
    from attacks.world import World

PATIENCE_S = 60.0
"""For processes that are being killed to be gone."""
GROWTH_KB = 160 << 10
"""By which host and coordinator may grow while 64 MiB are thrown at them."""


def nothing(world: World, ran: Ran) -> str:
    """The program's own word is all there is."""
    return ""


def remains(world: World, ran: Ran) -> str:
    """Processes that were started under the attack's mark and live on; they are ended."""
    deadline = time.monotonic() + PATIENCE_S
    while (left := world.marked(ran.mark)) and time.monotonic() < deadline:
        time.sleep(0.05)  # the session is over as soon as it says so, its processes a little later
    for pid in left:
        os.kill(pid, 9)
    return f"{len(left)} processes live on" if left else ""


def segment_remains(world: World, ran: Ran) -> str:
    """A segment of shared memory; it is removed."""
    key = world.targets["keys"]["left"]
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    if not any(int(line.split()[0]) & 0xFFFFFFFF == key for line in lines):
        return ""
    subprocess.run(["ipcrm", "-M", hex(key)], check=True)
    return "shared memory remains"


def decoy_was_signalled(world: World, ran: Ran) -> str:
    """It makes a file when it gets the signal."""
    return "another process got a signal" if (world.folder / "signalled").exists() else ""


def mark_is_kept(world: World, ran: Ran) -> str:
    """Something in the host's folders has the attack's mark, in its name or inside."""
    found = subprocess.run(
        ["grep", "-rlsF", "--include=*.py", "--include=*.pyc", ran.mark, str(world.server.home)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    for folder, folders, names in os.walk(world.server.home):  # unlike rglob, it bears that a folder has just gone
        found += [os.path.join(folder, name) for name in (*folders, *names) if ran.mark in name]
    return f"what later sessions run was changed: {found[0]}" if found else ""


def folder_is_made(world: World, ran: Ran) -> str:
    """A folder with the attack's mark in a home where programs look for their settings; it is removed."""
    made = [place for folder in world.targets["homes"] if (place := Path(folder, ran.mark)).exists()]
    for place in made:
        place.rmdir()
    return f"there is {made[0]}" if made else ""


def refused(world: World, ran: Ran) -> str:
    """The host has ended the session for what it said."""
    return "" if ran.code == "P0701" else f"the host took it: {ran.state} {ran.code}"


def victim_is_untouched(world: World, ran: Ran) -> str:
    """Nothing of what was said in its name has come to it."""
    return "another session got a forged line" if any("FORGED" in line for line in world.lines(world.victim)) else ""


def forged_result(world: World, ran: Ran) -> str:
    """The result that the session's code never returned."""
    return "a result was forged" if ran.result == "forged" else ""


def host_is_small(world: World, ran: Ran) -> str:
    """Neither host nor coordinator keeps what is thrown at them."""
    grown = {name: world.peak_kb(name) - ran.before_kb[name] for name in ran.before_kb}
    worst = max(grown, key=lambda name: grown[name])
    return f"the {worst} grew by {grown[worst] >> 10} MiB" if grown[worst] > GROWTH_KB else ""
