"""Ways to metadata services and into private networks. A UDP `connect` only looks for a route and sends nothing."""

import socket

from probing import verdict

ADDRESSES = ("169.254.169.254", "10.0.0.1", "172.17.0.1", "192.168.0.1", "192.0.2.1", "100.100.100.200")


def main(event):
    return verdict(address for address in ADDRESSES if has_route(address))


def has_route(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((address, 80))
        except OSError:
            return False
    return True
