"""Packets of one's own making."""

import socket

from probing import attempt, verdict


def main(event):
    ways = {
        "ICMP": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "IP": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        "packet": (socket.AF_PACKET, socket.SOCK_RAW, 0),
    }
    return verdict(name for name, way in ways.items() if attempt(socket.socket, *way))
