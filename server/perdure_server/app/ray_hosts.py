"""Beside a server with `--runner ray`: keeps one host on each node of a Ray cluster.

A process of its own, because Ray brings threads, signal handlers and 200 MiB with it. What it wants is compared with
what there is, again and again: nodes come and go, and Ray starts actors again by itself. The hosts end with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from socket import gethostname
from typing import Any, Final

from perdure_server.app.ray_node import HostOfNode, Seat

log: Final = logging.getLogger("perdure.ray")

LOOK_S: Final = 1.0  # between two looks at the cluster's nodes
AGAIN_S: Final = 15.0  # before a host is placed anew where Ray has given its actor up


@dataclass(frozen=True, slots=True)
class Plan:
    """What the driver is told by its server."""

    ray_address: str  # empty: RAY_ADDRESS, or the cluster that this machine is in
    socket: str  # of the server, to ask it for invitations; and for its hosts on this machine
    joins: bool  # hosts dial the server's address over TLS; else only nodes on this machine can have one
    cluster: str  # the coordinator's id
    server_pid: int
    capacity: int
    isolation: str


@dataclass(slots=True)
class Hosted:
    """A node that has a host."""

    actor: Any
    end: Any  # reference to what `HostOfNode.wait` will return
    over_at: float | None = None  # when it ended; seconds of time.monotonic
    drained: bool = False


@dataclass(slots=True)
class Driver:
    plan: Plan
    ray: Any
    nodes: dict[str, Hosted] = field(default_factory=dict)  # by node id
    out_of_reach: set[str] = field(default_factory=set)  # node ids, told once

    def look(self) -> None:
        """Compare once: forget nodes that are gone, note hosts that have ended, place what is missing."""
        alive = {node["NodeID"]: node for node in self.ray.nodes() if node["Alive"] and self._in_reach(node)}
        for node_id in lost(self.nodes, alive):
            log.info("node %s is gone", node_id[:12])
            del self.nodes[node_id]
        self._note_ends()
        for node_id in missing(self.nodes, alive, time.monotonic()):
            self.nodes[node_id] = self._place(alive[node_id])

    def _in_reach(self, node: Mapping[str, Any]) -> bool:
        """A node of another machine needs a server with TLS."""
        if self.plan.joins or node["NodeManagerHostname"] == gethostname():
            return True
        if node["NodeID"] not in self.out_of_reach:
            self.out_of_reach.add(node["NodeID"])
            log.warning("no host for %s: serve with --tls-name, so that it can join", node["NodeManagerHostname"])
        return False

    def _note_ends(self) -> None:
        running = {hosted.end: node_id for node_id, hosted in self.nodes.items() if hosted.over_at is None}
        ended = self.ray.wait(list(running), num_returns=len(running), timeout=0)[0] if running else []
        for end in ended:
            hosted = self.nodes[running[end]]
            hosted.over_at = time.monotonic()
            try:
                self.ray.get(end)
                hosted.drained = True
                log.info("the host of node %s was drained; it stays away", running[end][:12])
            except self.ray.exceptions.RayError as error:
                why = str(error).strip().splitlines()[0]
                log.warning("the host of node %s is gone for good: %s", running[end][:12], why)

    def _place(self, node: Mapping[str, Any]) -> Hosted:
        node_id = node["NodeID"]
        seat = self._seat(node)
        here = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id, soft=False)
        options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
        actor = self.ray.remote(HostOfNode).options(name=seat.name, **options).remote(seat)
        log.info("placing host %s on node %s (%s)", seat.name, node_id[:12], node["NodeManagerAddress"])
        return Hosted(actor, actor.wait.remote())

    def _seat(self, node: Mapping[str, Any]) -> Seat:
        """A name tells the node, so that a host keeps its certificate when Ray starts it again."""
        plan, name = self.plan, f"ray-{node['NodeID'][:16]}"
        labels = {"ray.io/node-id": node["NodeID"], **(node.get("Labels") or {})}
        seat = Seat(name, plan.cluster, capacity=plan.capacity, isolation=plan.isolation, labels=labels)
        if plan.joins:
            return replace(seat, token=asyncio.run(_invite(plan.socket, name)))
        return replace(seat, coordinator=plan.socket)


def lost(hosted: Iterable[str], alive: Iterable[str]) -> list[str]:
    """Nodes with a host that are no more."""
    return sorted(set(hosted) - set(alive))


def missing(hosted: Mapping[str, Hosted], alive: Iterable[str], now: float) -> list[str]:
    """Nodes that are to get a host: new ones, and those whose host has failed, some time later."""

    def wants(node_id: str) -> bool:
        if (known := hosted.get(node_id)) is None:
            return True
        return known.over_at is not None and not known.drained and now - known.over_at >= AGAIN_S

    return sorted(filter(wants, alive))


async def _invite(socket: str, host_id: str) -> str:
    from perdure_proto.v1.control_pb2 import InviteHostRequest

    from perdure_server.rpc.client import RemoteControl

    async with RemoteControl(socket) as control:
        return (await control.invite_host(InviteHostRequest(host_id=host_id))).token


def arguments(plan: Plan) -> str:
    """The command line's only argument, for `python -m perdure_server.app.ray_hosts`."""
    return json.dumps(asdict(plan))


def main(told: str) -> None:
    """Keep hosts on a cluster until SIGTERM, or until the server dies in whatever way."""
    from perdure_server.app.dying import die_with

    plan = Plan(**json.loads(told))
    die_with(plan.server_pid)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray: Any = import_module("ray")  # of the extra [ray]
    import_module("ray.util.scheduling_strategies")
    try:
        ray.init(
            address=plan.ray_address or "auto",
            namespace=f"perdure-{plan.cluster}",
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        sys.exit(f"no Ray cluster at {plan.ray_address or 'this machine'}: {str(error).splitlines()[0]}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    driver = Driver(plan, ray)
    try:
        while True:
            driver.look()
            time.sleep(LOOK_S)
    finally:
        ray.shutdown()  # ends the actors, and their hosts


if __name__ == "__main__":
    main(sys.argv[1])
