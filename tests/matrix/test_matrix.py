"""The construct matrix under pytest: a sample always, all of it among the slow tests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matrix.examine import Examined, examine
from matrix.probe import Probe, agree
from matrix.topics import TOPICS
from support.harness import Bench

SAMPLE = (
    *("nested_call_arguments", "class_bodies", "super_without_arguments", "generators", "relative_imports"),
    *("exec_of_a_string", "map_and_filter", "rebound_names", "inherited_methods", "custom_constructor"),
)
EVERY = {probe.name: probe for probes in TOPICS.values() for probe in probes}


def assert_ok(examined: list[Examined]) -> None:
    """No complaints in any mode."""
    wrong = {one.probe.name: {m: c for m, c in one.complaints.items() if c} for one in examined if not one.ok}
    assert not wrong


def test_names_are_unique() -> None:
    assert len(EVERY) == sum(map(len, TOPICS.values()))
    assert len(EVERY) >= 120


def test_sample(bench: Bench) -> None:
    assert_ok(examine(bench, [EVERY[name] for name in SAMPLE]))


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("topic", TOPICS)
def test_topic(bench: Bench, topic: str) -> None:
    assert_ok(examine(bench, TOPICS[topic]))


def test_the_matrix_finds_what_is_wrong(bench: Bench) -> None:
    """Probes that go wrong on purpose: each in its own column."""
    one = Probe("fine", 'import outside\ndef main(url): return outside.get(url + "/a")\n', "a", "outside.get", asks=1)
    silent = """
import perdure, outside
def main(url):
    with perdure.inhibit_activities(): return outside.get(url + "/a")
"""
    changing = """
import os, perdure, outside
def main(url, folder):
    with perdure.inhibit_activities():
        with open(folder + "/runs", "a") as file: file.write("x")
        runs = os.path.getsize(folder + "/runs")
    outside.get(f"{url}/{runs}")
    return outside.get(url + "/a")  # so that the runner still lives when it is killed after the first
"""
    wrong = {
        "plain": replace(one, name="other_value", gives="b"),
        "live": replace(one, name="needless_call", calls=""),
        "replayed": replace(one, name="unrecorded", source=silent, calls=""),
        "killed": replace(one, name="diverging", source=changing, calls=None, asks=2),
    }
    examined = dict(zip(["fine", *wrong], examine(bench, [one, *wrong.values()]), strict=True))
    assert examined.pop("fine").ok
    for mode, found in examined.items():
        assert found.complaints[mode], mode


def test_calls_are_compared_by_their_notation() -> None:
    calls = ["marker time.time", "activity a.get", "activity a.get", "timer time.sleep", "activity b"]
    assert agree(calls, "~time.time a.get*2 timer b")
    assert agree(calls, "?time.time a.get+ timer ?b")
    assert not agree(calls, "time.time a.get*2 timer b")
    assert not agree(calls, "~time.time a.get timer b")
    assert not agree(calls, "~time.time a.get*2 timer")
