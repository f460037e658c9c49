"""A header that is longer than headers may be."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(frame('{"t":"log","no":1,"x":"' + "x" * (5 << 20) + '"}'))
    return wait_for_the_host()
