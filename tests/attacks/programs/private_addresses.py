"""Ways to metadata services and into private networks."""

from probing import has_route, verdict

ADDRESSES = ("169.254.169.254", "10.0.0.1", "172.17.0.1", "192.168.0.1", "192.0.2.1", "100.100.100.200")


def main(event):
    return verdict(address for address in ADDRESSES if has_route(address, 80))
