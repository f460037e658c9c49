"""The driver of `--runner ray` against a cluster that only pretends: tests/pool/test_ray.py has a real one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from perdure_server.app import ray_hosts, ray_node
from perdure_server.app.ray_hosts import AGAIN_S, Driver, Hosted, Plan, lost, missing
from perdure_server.app.ray_node import Seat

PLAN = Plan("", "unix:/run/s", joins=False, cluster="c", server_pid=1, capacity=8, isolation="auto")


class RayError(Exception):
    """As `ray.exceptions.RayError`."""


class Cluster:
    """What the driver uses of the module `ray`: nodes, actors, and how their only call ended."""

    def __init__(self) -> None:
        self.alive: dict[str, str] = {}  # node id to machine
        self.placed: list[tuple[str, Seat, dict[str, Any]]] = []
        self.ends: dict[str, BaseException | int] = {}  # by reference
        self.exceptions = SimpleNamespace(RayError=RayError)
        affinity = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: (node, soft))
        self.util = SimpleNamespace(scheduling_strategies=affinity)

    def nodes(self) -> list[dict[str, Any]]:
        here = [{"NodeID": node, "Alive": True, "NodeManagerHostname": at} for node, at in self.alive.items()]
        dead = {"NodeID": "dead", "Alive": False, "NodeManagerHostname": "here"}
        return [each | {"NodeManagerAddress": "10.0.0.1", "Labels": {"zone": "b"}} for each in [*here, dead]]

    def remote(self, actor: type) -> Any:
        assert actor is ray_node.HostOfNode

        def options(name: str, **told: Any) -> Any:
            def make(seat: Seat) -> Any:
                node = told["scheduling_strategy"][0]
                self.placed.append((node, seat, told))
                return SimpleNamespace(wait=SimpleNamespace(remote=lambda: f"end of {name} no {len(self.placed)}"))

            return SimpleNamespace(remote=make)

        return SimpleNamespace(options=options)

    def wait(self, references: Iterable[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        assert timeout == 0
        return [each for each in references if each in self.ends], []

    def get(self, reference: str) -> int:
        end = self.ends[reference]
        if isinstance(end, BaseException):
            raise end
        return end


@pytest.fixture(name="cluster")
def cluster_fixture(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(ray_hosts, "gethostname", lambda: "here")
    return Cluster()


def test_every_node_gets_one_host_and_those_that_come_later_too(cluster: Cluster) -> None:
    driver = Driver(PLAN, cluster)
    cluster.alive = {"n1": "here", "n2": "here"}
    driver.look()
    driver.look()
    cluster.alive = {"n2": "here", "n3": "here"}
    driver.look()
    assert [node for node, _, _ in cluster.placed] == ["n1", "n2", "n3"]
    assert driver.nodes.keys() == {"n2", "n3"}
    _, seat, told = cluster.placed[0]
    assert seat == Seat(
        "ray-n1", "c", coordinator="unix:/run/s", capacity=8, labels={"ray.io/node-id": "n1", "zone": "b"}
    )
    assert (told["max_restarts"], told["scheduling_strategy"]) == (-1, ("n1", False))


def test_a_node_of_another_machine_needs_a_server_with_tls(
    cluster: Cluster, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.alive = {"n1": "elsewhere"}
    driver = Driver(PLAN, cluster)
    driver.look()
    driver.look()
    assert not cluster.placed
    assert [record.message for record in caplog.records] == [
        "no host for elsewhere: serve with --tls-name, so that it can join"
    ]

    async def invite(socket: str, host_id: str) -> str:
        return f"token for {host_id} of {socket}"

    monkeypatch.setattr(ray_hosts, "_invite", invite)
    Driver(ray_hosts.replace(PLAN, joins=True), cluster).look()
    ((_, seat, _),) = cluster.placed
    assert (seat.token, seat.coordinator) == ("token for ray-n1 of unix:/run/s", "")


def test_a_drained_host_stays_away_and_one_that_ray_gave_up_is_placed_anew(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(ray_hosts.time, "monotonic", lambda: now[0])
    cluster.alive = {"n1": "here", "n2": "here"}
    driver = Driver(PLAN, cluster)
    driver.look()
    cluster.ends = {"end of ray-n1 no 1": 0, "end of ray-n2 no 2": RayError("the actor cannot be made\nlong story")}
    driver.look()
    driver.look()
    assert len(cluster.placed) == 2, "not at once"
    now[0] += AGAIN_S
    driver.look()
    assert [node for node, _, _ in cluster.placed] == ["n1", "n2", "n2"]
    now[0] += 10 * AGAIN_S
    driver.look()
    assert len(cluster.placed) == 3


def test_who_is_lost_and_who_is_missing() -> None:
    running, failed = Hosted(None, "a"), Hosted(None, "b", over_at=10.0)
    drained = Hosted(None, "c", over_at=10.0, drained=True)
    known = {"r": running, "f": failed, "d": drained}
    assert lost(known, ["r", "new"]) == ["d", "f"]
    assert missing(known, ["r", "f", "d", "new"], 10.0 + AGAIN_S - 1) == ["new"]
    assert missing(known, ["r", "f", "d", "new"], 10.0 + AGAIN_S) == ["f", "new"]


def test_what_the_driver_is_told_comes_through_a_command_line() -> None:
    assert Plan(**json.loads(ray_hosts.arguments(PLAN))) == PLAN


def test_folders_of_nodes_that_are_gone_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first, _ = ray_node._take_folder(Seat("one", "c"))
    (first / "build").write_text("large")
    gone = first.parent / "gone"
    gone.mkdir()
    (gone / "build").write_text("large")
    second, _ = ray_node._take_folder(Seat("two", "c"))
    assert {each.name for each in second.parent.iterdir()} == {"one", "two"}
    assert (first / "build").exists(), "somebody has it"
    with pytest.raises(RuntimeError, match="in use"):
        ray_node._take_folder(Seat("one", "c"))
