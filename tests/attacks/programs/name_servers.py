"""Data that leaves as questions for names: is there a way to a server for them? Nothing is sent."""

import socket

from probing import content, verdict


def main(event):
    lines = content("/etc/resolv.conf").decode().splitlines()
    servers = [line.split()[1] for line in lines if line.startswith("nameserver") and "." in line]
    return verdict(server for server in [*servers, "192.0.2.1"] if has_route(server))


def has_route(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((address, 53))
        except OSError:
            return False
    return True
