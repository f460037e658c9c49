"""Hosts of a server on this machine, each as a process of its own."""

from __future__ import annotations

import json
import subprocess

from e2e.terminal import Server, Terminal, until
from perdure_proto.v1 import control_pb2 as pb
from pool.held import PATIENCE_S


def attach(terminal: Terminal, server: Server, name: str) -> subprocess.Popen[str]:
    """A host on this machine, attached."""
    at = json.loads((server.home / "endpoint.json").read_text())["socket"]
    host = terminal.spawn("host", "--coordinator", at, "--name", name, "--state-dir", f"state-{name}")
    until(lambda: name in states(server), f"{name} is attached")
    return host


def states(server: Server) -> dict[str, str]:
    hosts = server.control.ListHosts(pb.ListHostsRequest(), timeout=PATIENCE_S).hosts
    return {host.host_id: host.state for host in hosts}
