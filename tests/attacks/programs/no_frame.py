"""Bytes that are no frame."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame("][ no JSON"))
    return wait_for_the_host()
