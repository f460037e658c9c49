"""Services of the machine that only listen locally."""

import socket

from probing import answer, canaries, verdict


def main(event):
    return verdict(canaries(answer(socket.AF_INET, ("127.0.0.1", event["ports"]["decoy"])) or b""))
