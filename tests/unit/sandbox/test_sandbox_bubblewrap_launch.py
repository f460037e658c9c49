"""What is left of a bubblewrap, or of a fork, that could not be started: nothing. Without bwrap and zygotes."""

from __future__ import annotations

import errno
import gc
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host import bubblewrap
from perdure_runner.host.backend import BackendError, Files
from perdure_runner.host.bubblewrap import Bubble, Shown
from perdure_runner.host.config import HostConfig
from perdure_runner.host.egress import Egress, EgressConfig
from perdure_runner.host.processes import Nest
from perdure_runner.host.pythons import Interpreter
from perdure_runner.host.spares import Like, Spare
from perdure_runner.host.zygotes import ZygoteError

PYTHON = Interpreter("/usr/bin/python3", (3, 11, 2), "cpython-311")
LISTED = runner.Start(network=runner.Network(mode=runner.NETWORK_MODE_HOSTS, hosts=["example.org"]))


class Holding:
    """Counts how often it is given up."""

    counted = False
    folder = None

    def __init__(self) -> None:
        self.given_up = 0

    def joining(self) -> list[int]:
        return [os.open(os.devnull, os.O_WRONLY)]

    def clean_up(self) -> None:
        self.given_up += 1


class Held:
    """Gives one `Holding`."""

    def __init__(self) -> None:
        self.holding = Holding()

    def limits(self, start: runner.Start) -> runner.Limits:
        return start.limits

    def hold(self, _limits: runner.Limits) -> Holding:
        return self.holding


def failing(usual: Callable[..., Any], number: int) -> Callable[..., Any]:
    """`usual`, but the call of this number, from 1 on, finds no descriptor free."""
    calls = 0

    def call(*arguments: Any, **given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OSError(errno.EMFILE, "no descriptor is free")
        return usual(*arguments, **given)

    return call


@pytest.mark.parametrize(
    ("place", "name", "number"),
    [
        (socket, "socketpair", 1),  # the door's
        (socket, "socketpair", 2),
        (os, "pipe2", 1),
        (os, "pipe2", 2),
        (os, "pipe2", 3),
        (subprocess, "Popen", 1),
        (os, "pidfd_open", 1),
    ],
)
async def test_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, number: int
) -> None:
    monkeypatch.setattr(bubblewrap, "tool", lambda: "/bin/true")
    held, egress = Held(), Egress(EgressConfig())
    config = HostConfig(state_dir=tmp_path)
    bubble = Bubble(PYTHON, config, Shown((), (), b"rules"), egress, held)  # type: ignore[arg-type]  # a fake
    gc.collect()  # what other tests have left is closed now, not while we count
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patched:
        patched.setattr(place, name, failing(getattr(place, name), number))
        with pytest.raises((OSError, BackendError), match="no descriptor is free"):
            bubble.launch(LISTED, Files(tmp_path, tmp_path), lambda _: None)
    assert os.listdir("/proc/self/fd") == before
    assert held.holding.given_up == 1
    egress.close()


class NoSpares:
    """There is no runner made ahead."""

    def take(self, _like: object) -> None:
        return None


class Gone:
    """A zygote that closes what it is given, as it has to, and is gone."""

    def fork(self, asked: Any, _ended: object) -> None:
        self._refuse(asked.groups, asked.descriptors())

    def fork_spare(self, line: int, groups: list[int], _ended: object, **_: object) -> None:
        self._refuse(groups, [line])

    def _refuse(self, *given: Sequence[int]) -> None:
        for descriptor in chain(*given):
            os.close(descriptor)
        raise ZygoteError("no descriptor is free, and no zygote is there")


FAULTS = [
    (os, "open", 1),  # the group's
    (socket, "socketpair", 1),  # the door's
    (socket, "socketpair", 2),
    (os, "pipe2", 1),
    (os, "getpid", 1),  # nothing is amiss but the zygote
]


@pytest.mark.parametrize(("place", "name", "number"), FAULTS)
async def test_nothing_is_left_of_a_fork(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, number: int) -> None:
    held, egress = Held(), Egress(EgressConfig())
    nest = Nest(PYTHON, Gone(), 1000, "namespaces", egress, held, NoSpares())  # type: ignore[arg-type]  # fakes
    gc.collect()  # as above
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patched:
        patched.setattr(place, name, failing(getattr(place, name), number))
        with pytest.raises((OSError, BackendError), match="no descriptor is free"):
            nest.launch(LISTED, Files(Path("code"), Path("cache")), lambda _: None)
    assert os.listdir("/proc/self/fd") == before
    assert held.holding.given_up == 1
    egress.close()


@pytest.mark.parametrize(("place", "name", "number"), [FAULTS[0], FAULTS[1], FAULTS[-1]])
def test_nothing_is_left_of_a_fork_ahead(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, number: int) -> None:
    like = Like(runner.Limits(), alone=True)
    gc.collect()
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patched:
        patched.setattr(place, name, failing(getattr(place, name), number))
        with pytest.raises((OSError, BackendError), match="no descriptor is free"):
            Spare(Gone(), Holding(), like, lambda _: None)  # type: ignore[arg-type]  # fakes
    assert os.listdir("/proc/self/fd") == before
