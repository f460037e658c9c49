"""A frame that says that four gigabytes follow."""

from probing import say, wait_for_the_host


def main(event):
    say(b"\xff" * 8, b"x" * 1000)
    return wait_for_the_host()
