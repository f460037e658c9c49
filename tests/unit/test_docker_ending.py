"""How containers end when their engine is slow, or forgets to answer; without an engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.child.zygote import READY
from perdure_runner.host.backend import Files
from perdure_runner.host.config import HostConfig
from perdure_runner.host.docker import cell, ending, making
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.docker.engine import Engine, EngineError, GoneError, NoEngineError, NotThereError
from perdure_runner.host.docker.shape import Shape
from perdure_runner.host.egress import Egress, EgressConfig
from perdure_runner.host.pythons import Interpreter

PYTHON = Interpreter("/usr/bin/python3", (3, 11, 2), "docker-cpython-311", foreign=True)
SHAPE = Shape.usual("image", 0)
PATIENCE_S = 30.0
FOR_EVER_S = 1e9


class FakeApi:
    """What the backend asks of an engine about containers: a dict of them, and calls that go wrong."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, str]] = {}  # name -> labels
        self.state = "exited"
        self.removals_that_fail = 0
        self.failure: type[NoEngineError] = NoEngineError
        self.ghosts = False  # what is removed is listed on

    def containers(self, *, all: bool, filters: dict[str, str]) -> list[dict[str, Any]]:  # noqa: A002 (its name there)
        assert all
        name, _, value = filters["label"].partition("=")
        found = {key: labels for key, labels in self.there.items() if name in labels}
        found = {key: labels for key, labels in found.items() if not value or labels[name] == value}
        return [{"Id": key, "Labels": each, "State": self.state} for key, each in found.items()]

    def remove_container(self, container: str, *, force: bool, v: bool) -> None:
        assert force
        assert v
        if self.removals_that_fail:
            self.removals_that_fail -= 1
            raise self.failure("it does not answer in time", "wait")
        if container not in self.there or self.ghosts:
            raise NotThereError(container)
        del self.there[container]


class FakeEngine:
    """An `Engine` without threads; `busy` as long as a call is held back."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.containers = self
        self.busy = False
        self.create: Callable[..., Any] = self._create

    def _create(self, **given: Any) -> Any:
        self.api.there[given["name"]] = given["labels"]
        raise NoEngineError("it does not answer in time", "wait")

    async def call(self, work: Callable[[Any], Any]) -> Any:
        await asyncio.sleep(0)
        return work(self)


class FakeImages:
    """The command of a container does not matter here."""

    def command(self, *_: object) -> list[str]:
        return []


@pytest.fixture(name="quick", autouse=True)
def quick_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_AGAIN_S", 0.0)
    monkeypatch.setattr(ending, "_SLOW_S", 0.0)
    monkeypatch.setattr(making, "_AGAIN_S", 0.0)


async def test_what_an_engine_makes_after_all_is_removed() -> None:
    engine = FakeEngine()
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    engine.busy = True  # at a call that nobody waits for any more
    finishing = asyncio.create_task(undertaker.finish(PATIENCE_S))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not finishing.done()
    engine.api.there |= {"late": dict(undertaker.marks), "other": {ending.OWNER: ending.owner()}}
    engine.busy = False
    assert await finishing
    assert list(engine.api.there) == ["other"]  # of another backend of this process


async def test_an_engine_that_goes_on_to_list_what_it_has_no_more() -> None:
    engine = FakeEngine()
    engine.api.ghosts = True
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    engine.api.there["c"] = dict(undertaker.marks)
    assert await undertaker.finish(PATIENCE_S)


async def test_what_runs_is_ended_so_that_who_waits_for_it_goes_on() -> None:
    engine = FakeEngine()
    engine.busy, engine.api.state = True, "created"  # it may be starting
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    engine.api.there["c"] = dict(undertaker.marks)
    finishing = asyncio.create_task(undertaker.finish(PATIENCE_S))
    for _ in range(10):
        await asyncio.sleep(0)
    assert list(engine.api.there) == ["c"]
    engine.api.state = "running"
    while engine.api.there:
        await asyncio.sleep(0)
    engine.busy = False
    assert await finishing


async def test_removal_goes_on_until_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_GONE_S", 0.0)  # this one is slow, not gone
    engine = FakeEngine()
    engine.api.there["c"] = {}
    engine.api.removals_that_fail = 3
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    undertaker.remove("c", tmp_path)
    assert await undertaker.finish(PATIENCE_S)
    assert engine.api.there == {}
    assert not tmp_path.exists()


async def test_an_engine_that_never_answers_is_given_up() -> None:
    engine = FakeEngine()
    engine.api.removals_that_fail = 1 << 30
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    removing = undertaker.remove("c")
    assert not await undertaker.finish(0.0)
    with pytest.raises(asyncio.CancelledError):
        await removing


async def test_a_fault_of_ours_is_not_taken_for_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(engine.api, "containers", lambda **_: [{"Id": "c"}])
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    with pytest.raises(KeyError, match="State"):
        await undertaker.finish(PATIENCE_S)


async def test_an_engine_that_does_not_run_is_given_up_sooner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker.errors")
    monkeypatch.setattr(ending, "_GONE_S", 0.0)
    (tmp_path / "s").mkdir()
    with socket.socket(socket.AF_UNIX) as nobody:  # an engine that was killed leaves its socket
        nobody.bind(str(tmp_path / "s" / "killed"))
    for name in ("none", "killed"):
        engine = Engine(f"unix://{tmp_path}/s/{name}")
        undertaker = ending.Undertaker(engine)
        undertaker.remove("c")
        assert not await undertaker.finish(FOR_EVER_S)
        engine.close()


async def test_an_engine_that_runs_again_in_time_is_not_given_up() -> None:
    engine = FakeEngine()
    engine.api.there["c"] = {}
    engine.api.removals_that_fail, engine.api.failure = 3, GoneError
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    undertaker.remove("c")
    assert await undertaker.finish(PATIENCE_S)
    assert engine.api.there == {}


async def test_an_engine_that_runs_and_does_not_answer_is_not_gone(tmp_path: Path) -> None:
    pytest.importorskip("docker.errors")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        engine = Engine(f"unix://{tmp_path}/s")
        calling = asyncio.create_task(engine.call(lambda client: client.ping()))
        connection, _ = await asyncio.to_thread(listener.accept)
        connection.close()
        with pytest.raises(NoEngineError) as refused:
            await calling
        engine.close()
    assert not isinstance(refused.value, GoneError)


async def test_a_sweep_takes_what_the_dead_left() -> None:
    dead = subprocess.Popen(["true"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie
    boot, namespace, _, _ = ending.owner().split(" ")
    started = Path(f"/proc/{dead.pid}/stat").read_text().rpartition(")")[2].split()[19]
    engine = FakeEngine()
    engine.api.there = {
        "dead": {ending.OWNER: f"{boot} {namespace} {dead.pid} {started}"},
        "living": {ending.OWNER: ending.owner()},
        "of an image of ours": {ending.OWNER: ""},
    }
    engine.api.removals_that_fail = 1
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    try:
        assert await undertaker.sweep() == 1
        assert await undertaker.finish(PATIENCE_S)
    finally:
        dead.wait()
    assert sorted(engine.api.there) == ["living", "of an image of ours"]


async def test_a_container_whose_making_was_not_answered_is_removed(tmp_path: Path) -> None:
    engine = FakeEngine()
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    config = HostConfig(state_dir=tmp_path)
    maker = making.Maker(engine, undertaker, FakeImages(), config, DockerConfig())  # type: ignore[arg-type]  # fakes
    maker.prepare()
    tries = 0

    def create(**given: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 3:
            raise EngineError("no room")
        engine._create(**given)

    engine.create = create
    with pytest.raises(EngineError, match="no room"):
        await maker.make(SHAPE, PYTHON)
    cache = tmp_path / "cache"
    cache.mkdir()
    engine.create = engine._create
    with pytest.raises(NoEngineError):
        await maker.compile(PYTHON, "image", tmp_path, cache)
    while undertaker._tasks:
        await asyncio.wait(undertaker._tasks)
    assert engine.api.there == {}
    assert list((tmp_path / "cells").iterdir()) == []
    maker.close()


class FakeZygote:
    """The other end of a cell's control: its runner waits at once. `requests`: what it was asked for."""

    def __init__(self, control: socket.socket) -> None:
        self.requests: list[dict[str, Any]] = []
        self.lines: list[socket.socket] = []  # to runners that wait
        self._control = control
        control.send(b'{"op": "ready"}')
        asyncio.get_running_loop().add_reader(control, self._serve)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control)
        for line in self.lines:
            line.close()

    def exited(self) -> None:
        """Have the runner that waits end."""
        for line in self.lines:
            line.close()
        self._control.send(b'{"op": "exited", "id": 1, "status": -9}')

    def _serve(self) -> None:
        packet, descriptors, _, _ = socket.recv_fds(self._control, 4096, 8)
        if not packet:
            asyncio.get_running_loop().remove_reader(self._control)
            return
        self.requests.append(json.loads(packet))
        if self.requests[-1].get("spare"):
            self.lines.append(socket.socket(fileno=descriptors[0]))
            self.lines[-1].setblocking(False)
            self.lines[-1].send(READY)
        else:
            for descriptor in descriptors:
                os.close(descriptor)


@contextlib.contextmanager
def placed(
    engine: FakeEngine, undertaker: ending.Undertaker, folder: Path
) -> Iterator[tuple[cell.Cell, Files, FakeZygote]]:
    """A cell whose zygote is ready, files for its session, and the zygote."""
    for name in ("code", "cache", "cell"):
        (folder / name).mkdir()
    engine.api.there["c"] = dict(undertaker.marks)
    egress = Egress(EgressConfig())
    box = cell.Box(engine, undertaker, egress, "c", folder / "cell")  # type: ignore[arg-type]  # a fake
    ours, zygote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fake = FakeZygote(zygote)
    with zygote, contextlib.closing(fake):
        yield cell.Cell(box, ours, SHAPE, PYTHON, 1000), Files(folder / "code", folder / "cache"), fake
    egress.close()


async def test_a_session_gets_the_runner_that_waits_or_another_if_it_has_ended(tmp_path: Path) -> None:
    for ended in (False, True):
        engine, folder = FakeEngine(), tmp_path / str(ended)
        folder.mkdir()
        undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
        with placed(engine, undertaker, folder) as (place, files, zygote):
            await place.ready()
            if ended:
                zygote.exited()
            launched = place.launch(runner.Start(session_id="s", epoch=1), files, lambda _: None)
            while len(zygote.requests) < 1 + ended:
                await asyncio.sleep(0)
            assert [request["spare"] for request in zygote.requests] == [True, False][: 1 + ended]
            assert {request["confine"]["open_files"] for request in zygote.requests} == {SHAPE.open_files}
            if not ended:
                told, descriptors, _, _ = socket.recv_fds(zygote.lines[0], 4096, 8)
                assert json.loads(told)["confine"] == zygote.requests[0]["confine"]
                for descriptor in descriptors:
                    os.close(descriptor)
            launched.process.signal(signal.SIGKILL, group=False)
            launched.socket.close()
            launched.said.close()
            assert await undertaker.finish(PATIENCE_S)


async def test_who_gives_up_a_container_while_its_runner_comes_to_wait_removes_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    with placed(engine, undertaker, tmp_path) as (place, _, zygote):
        asyncio.get_running_loop().remove_reader(zygote._control)
        waiting = asyncio.create_task(place.ready())
        while place._spare is None:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((waiting,))
        while undertaker._tasks:
            await asyncio.wait(undertaker._tasks)
    assert engine.api.there == {}


async def test_a_container_that_dies_while_its_runner_comes_to_wait_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does whose memory is too little for a runner: the pool must not take it for made, and make another."""
    engine = FakeEngine()
    monkeypatch.setattr(engine.api, "logs", lambda _container, tail: b"out of memory", raising=False)
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    with placed(engine, undertaker, tmp_path) as (place, _, zygote):
        asyncio.get_running_loop().remove_reader(zygote._control)
        making_ready = asyncio.create_task(place.ready())
        while place._spare is None:
            await asyncio.sleep(0)
        zygote._control.shutdown(socket.SHUT_RDWR)
        with pytest.raises(EngineError, match="out of memory"):
            await making_ready
        assert await undertaker.finish(PATIENCE_S)
    assert engine.api.there == {}


async def test_a_container_whose_runner_cannot_be_launched_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    with placed(engine, undertaker, tmp_path) as (place, files, _):
        await place.ready()

        def none_free(_flags: int) -> tuple[int, int]:
            raise OSError("no descriptor is free")

        before = set(os.listdir("/proc/self/fd"))
        with monkeypatch.context() as patched:
            patched.setattr(os, "pipe2", none_free)
            with pytest.raises(OSError, match="no descriptor is free"):
                place.launch(runner.Start(), files, lambda _: None)
        assert set(os.listdir("/proc/self/fd")) < before  # without the connection to the zygote
        assert await undertaker.finish(PATIENCE_S)
    assert engine.api.there == {}
    assert not (tmp_path / "cell").exists()


async def test_a_zygote_that_takes_its_time_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_LOOK_S", 0.0)
    engine, looks = FakeEngine(), 0
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    config = HostConfig(state_dir=tmp_path)
    maker = making.Maker(engine, undertaker, FakeImages(), config, DockerConfig())  # type: ignore[arg-type]  # fakes
    address = str(tmp_path / "s")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as zygote,
    ):
        listener.bind(address)
        listener.listen(1)
        listener.setblocking(False)

        def inspect(_container: str) -> dict[str, dict[str, bool]]:
            nonlocal looks
            looks += 1
            if looks == 3:
                zygote.connect(address)
            return {"State": {"Running": True}}

        monkeypatch.setattr(engine.api, "inspect_container", inspect, raising=False)
        (await maker._accept(listener, "c")).close()
    assert looks >= 3
    maker.close()


async def test_a_container_is_not_removed_while_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "LATER_S", 0.0)
    engine, renaming, renamed = FakeEngine(), asyncio.Event(), asyncio.Event()
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    usual = engine.call

    async def call(work: Callable[[Any], Any]) -> Any:
        if not renaming.is_set():  # it is the first call
            renaming.set()
            await renamed.wait()
            return None
        return await usual(work)

    monkeypatch.setattr(engine, "call", call)
    with placed(engine, undertaker, tmp_path) as (place, files, _):
        await place.ready()
        launched = place.launch(runner.Start(session_id="s", epoch=1), files, lambda _: None)
        await renaming.wait()
        launched.process.signal(signal.SIGKILL, group=False)
        for _ in range(10):
            await asyncio.sleep(0)
        assert list(engine.api.there) == ["c"]
        renamed.set()
        assert await undertaker.finish(PATIENCE_S)
        launched.socket.close()
        launched.said.close()
    assert engine.api.there == {}


async def test_a_container_that_is_removed_gets_no_name(tmp_path: Path) -> None:
    engine = FakeEngine()  # without a method for renaming
    undertaker = ending.Undertaker(engine)  # type: ignore[arg-type]  # a fake
    with placed(engine, undertaker, tmp_path) as (place, files, _):
        await place.ready()
        launched = place.launch(runner.Start(session_id="s", epoch=1), files, lambda _: None)
        launched.process.signal(signal.SIGKILL, group=False)
        assert await undertaker.finish(PATIENCE_S)
        launched.socket.close()
        launched.said.close()
    assert place._courtesy is not None
    assert place._courtesy.cancelled()


async def test_an_engine_is_busy_with_what_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker.errors")
    engine = Engine("unix:///nowhere")
    monkeypatch.setattr(engine, "_client", lambda: None)
    begun, held = asyncio.Event(), Future[None]()
    loop = asyncio.get_running_loop()

    def work(_client: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        held.result()

    calling = asyncio.create_task(engine.call(work))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert engine.busy
    (call,) = engine._calls
    held.set_result(None)
    await asyncio.to_thread(call.exception)
    engine.close()
    await asyncio.to_thread(engine._threads.shutdown)  # callbacks come after results
    assert not engine.busy
