"""Sockets of others in the file system."""

import socket

from probing import answer, canaries, verdict


def main(event):
    paths = (event["sockets"]["path"], event["sockets"]["victim_path"])
    return verdict(seen for path in paths for seen in canaries(answer(socket.AF_UNIX, path) or b""))
