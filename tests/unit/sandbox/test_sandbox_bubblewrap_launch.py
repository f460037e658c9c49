"""What is left of a bubblewrap that could not be started: nothing. Without bwrap."""

from __future__ import annotations

import errno
import gc
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host import bubblewrap
from perdure_runner.host.backend import BackendError, Files
from perdure_runner.host.bubblewrap import Bubble, Shown
from perdure_runner.host.config import HostConfig
from perdure_runner.host.egress import Egress, EgressConfig
from perdure_runner.host.pythons import Interpreter

PYTHON = Interpreter("/usr/bin/python3", (3, 11, 2), "cpython-311")
LISTED = runner.Start(network=runner.Network(mode=runner.NETWORK_MODE_HOSTS, hosts=["example.org"]))


class Holding:
    """Counts how often it is given up."""

    counted = False

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
