"""What other processes go by: their scores, their names, files in the homes where programs look for settings."""

import os

from probing import attempt, may_open, verdict


def main(event):
    for folder in event["homes"]:
        attempt(os.mkdir, os.path.join(folder, event["mark"]))
    places = [f"/proc/{pid}/{name}" for pid in event["pids"].values() for name in ("oom_score_adj", "comm")]
    return verdict(filter(may_open, places))
