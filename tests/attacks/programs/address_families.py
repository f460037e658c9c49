"""Sockets of families that no handler needs, each a piece of the kernel."""

import socket

from probing import attempt, verdict

FAMILIES = {
    "netlink audit": (16, 3, 9),
    "netlink netfilter": (16, 3, 12),
    "netlink uevent": (16, 3, 15),
    "alg": (38, 5, 0),
    "vsock": (40, 1, 0),
    "xdp": (44, 3, 0),
    "key": (15, 3, 2),
    "packet": (17, 3, 0),
    "tipc": (30, 1, 0),
    "can": (29, 3, 1),
    "qipcrtr": (42, 2, 0),
}


def main(event):
    return verdict(name for name, way in FAMILIES.items() if attempt(socket.socket, *way))
