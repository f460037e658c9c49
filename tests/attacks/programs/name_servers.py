"""Data that leaves as questions for names: is there a way to a server for them?"""

from probing import content, has_route, verdict


def main(event):
    lines = content("/etc/resolv.conf").decode().splitlines()
    servers = [line.split()[1] for line in lines if line.startswith("nameserver") and "." in line]
    return verdict(server for server in [*servers, "192.0.2.1"] if has_route(server, 53))
