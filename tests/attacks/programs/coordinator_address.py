"""The coordinator's own address."""

import socket

from probing import PATIENCE_S, attempt, verdict


def main(event):
    reached = attempt(socket.create_connection, ("127.0.0.1", event["ports"]["coordinator"]), PATIENCE_S)
    return verdict(["the coordinator's port"] if reached else [])
