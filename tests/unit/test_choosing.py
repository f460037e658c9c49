"""Which host gets a session, as a table: what the hosts are like, and who is chosen."""

from __future__ import annotations

from typing import Any

import pytest
from perdure_server.coordinator.choosing import MIB, Candidate, Need, choose, suits

GPU = frozenset({("gpu", "yes")})
PLAIN = Need(build="b")


def host(name: str, **facts: Any) -> Candidate:
    return Candidate(name, **{"capacity": 10, "builds": {"b"}, "pythons": ["3.11"]} | facts)


TABLE: list[tuple[str, Need, list[Candidate], str | None]] = [
    ("nobody is there", PLAIN, [], None),
    ("all are full", PLAIN, [host("a", sessions=10), host("b", sessions=10)], None),
    ("room counts", PLAIN, [host("a", sessions=10), host("b", sessions=9)], "b"),
    ("equals go by their names", PLAIN, [host("b"), host("a")], "a"),
    ("the emptier one", PLAIN, [host("a", sessions=3), host("b", sessions=2)], "b"),
    ("the emptier one, by share", PLAIN, [host("a", sessions=2), host("b", sessions=3, capacity=100)], "b"),
    ("a draining one takes nothing", PLAIN, [host("a", draining=True), host("b", sessions=9)], "b"),
    ("only draining ones", PLAIN, [host("a", draining=True)], None),
    ("labels are a must", Need(runs_on=GPU), [host("a"), host("b", sessions=9, labels={"gpu": "yes"})], "b"),
    ("another value is another label", Need(runs_on=GPU), [host("a", labels={"gpu": "no"})], None),
    ("every label is a must", Need(runs_on=GPU | {("zone", "1")}), [host("a", labels={"gpu": "yes"})], None),
    ("more labels do no harm", Need(runs_on=GPU), [host("a", labels={"gpu": "yes", "zone": "1"})], "a"),
    ("no labels asked for: any", PLAIN, [host("a", labels={"gpu": "yes"})], "a"),
    ("the interpreter is a must", Need("3.12"), [host("a"), host("b", sessions=9, pythons=["3.11", "3.12"])], "b"),
    ("the network policy is a must", Need(network="hosts"),
     [host("a", isolation="landlock"), host("b", sessions=9, isolation="namespaces")], "b"),
    ("Landlock holds what reaches nothing", Need(network="none"), [host("a", isolation="landlock")], "a"),
    ("nothing holds who is in no sandbox", Need(network="none"), [host("a", isolation="plain")], None),
    ("who may reach all needs no holding", Need(network="all"), [host("a", isolation="plain")], "a"),
    ("a path is the host's business", Need("/opt/python"), [host("a")], "a"),
    ("a warm build is worth a little", PLAIN, [host("a", builds=()), host("b", sessions=1, capacity=20)], "b"),
    ("a warm build is not worth much", PLAIN, [host("a", builds=()), host("b", sessions=3)], "a"),
    ("a warm environment is worth more", Need("", build="b", environment="e"),
     [host("a"), host("b", sessions=4, environments={"e"})], "b"),
    ("a warm environment is not worth all", Need("", build="b", environment="e"),
     [host("a"), host("b", sessions=6, environments={"e"})], "a"),
    ("no environment needed: none is missed", PLAIN, [host("a"), host("b", environments={"e"})], "a"),
    ("a machine that others use, too", PLAIN, [host("a", load=2.0), host("b", sessions=4, load=0.9)], "b"),
    ("load up to one a processor is no load", PLAIN, [host("a", load=1.0), host("b", sessions=1, load=0.0)], "a"),
    ("load has an end", PLAIN, [host("a", load=90.0, sessions=1), host("b", load=4.0, sessions=2)], "a"),
    ("short of memory", PLAIN, [host("a", memory_available_bytes=100 * MIB), host("b", sessions=9)], "b"),
    ("short of disk", PLAIN, [host("a", disk_free_bytes=100 * MIB), host("b", sessions=9)], "b"),
    ("short of something is better than none", PLAIN, [host("a", disk_free_bytes=0), host("b", sessions=10)], "a"),
    ("enough of all", PLAIN, [host("a", disk_free_bytes=1 << 40, memory_available_bytes=1 << 40), host("b")], "a"),
]  # fmt: skip


@pytest.mark.parametrize(("need", "hosts", "chosen"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_table(need: Need, hosts: list[Candidate], chosen: str | None) -> None:
    assert choose(need, hosts) == chosen
    assert choose(need, reversed(hosts)) == chosen, "the order of the hosts does not matter"


def test_a_full_or_draining_host_still_suits() -> None:
    """A session may wait for it."""
    assert suits(Need("3.11", GPU), host("a", sessions=10, draining=True, labels={"gpu": "yes"}))
    assert not suits(Need("3.12"), host("a"))
