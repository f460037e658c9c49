"""A frame whose header is JSON, but not an object."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame("[1,2,3]"))
    return wait_for_the_host()
