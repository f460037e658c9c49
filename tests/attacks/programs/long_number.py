"""A number of a million digits, which takes long to read."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame('{"t":"log","no":' + "9" * 1_000_000 + "}"))
    return wait_for_the_host()
