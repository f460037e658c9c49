"""A header so deep that a parser's stack ends before it does."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame('{"t":' + "[" * 200_000))
    return wait_for_the_host()
