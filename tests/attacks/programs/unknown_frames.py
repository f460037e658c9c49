"""Frames that only a host sends."""

from probing import frame, say, wait_for_the_host


def main(event):
    say(*(frame(f'{{"t":"{kind}","id":1,"no":1}}') for kind in ("fork", "start", "ack", "stop")))
    return wait_for_the_host()
