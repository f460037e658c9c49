"""A socket of another process that has no place in any file system."""

import socket

from probing import answer, canaries, verdict


def main(event):
    names = (event["sockets"]["abstract"], event["sockets"]["victim_abstract"])
    return verdict(seen for name in names for seen in canaries(answer(socket.AF_UNIX, "\0" + name) or b""))
