"""The root of others: by their entries in /proc, by dots, by the handle of a folder."""

import os

from probing import attempt, canaries, content, verdict


def main(event):
    secret = event["paths"]["secret"]
    places = [f"/proc/{pid}/{name}" for pid in ("self", 1, *event["pids"].values()) for name in ("root", "cwd")]
    places += ["", "/proc/self/cwd", "/proc/thread-self/root"]
    found = [seen for place in places for seen in canaries(content(f"{place}{'/..' * 20}{secret}"))]
    handle = attempt(os.open, "/", os.O_PATH)
    found += canaries(content(f"/proc/self/fd/{handle}{'/..' * 20}{secret}"))
    return verdict(set(found))
