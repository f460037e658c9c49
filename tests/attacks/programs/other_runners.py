"""A service in another session."""

import socket

from probing import answer, canaries, verdict


def main(event):
    return verdict(canaries(answer(socket.AF_INET, ("127.0.0.1", event["ports"]["victim"])) or b""))
