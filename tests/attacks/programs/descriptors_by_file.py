"""What others have open, by /proc/PID/fd: files that have no name any more."""

from probing import canaries, content, verdict


def main(event):
    return verdict(canaries(content(f"/proc/{event['pids']['decoy']}/fd/{event['descriptor']}")))
