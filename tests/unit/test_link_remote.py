"""The link over gRPC, between a host and a small servicer in this process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from host_support import BUILD, DIGEST, config
from perdure_proto.v1 import runner_pb2 as runner
from perdure_proto.v1 import runner_pb2_grpc
from perdure_proto.v1.journal_pb2 import LogLine
from perdure_runner.host import main as host_main
from perdure_runner.host import remote
from perdure_runner.host.host import Host
from perdure_runner.host.remote import Outgoing, run_remote


class Servicer(runner_pb2_grpc.HostsServicer):
    """Hands each stream to the test as it comes. Of a host's heartbeats, the first is the only one in a test's time."""

    def __init__(self, version: int = 1, heartbeat_ms: int = 600_000) -> None:
        self.streams: asyncio.Queue[grpc.aio.ServicerContext] = asyncio.Queue()
        self.version = version
        self.heartbeat_ms = heartbeat_ms
        self.hangs_up = asyncio.Event()

    async def Attach(self, _requests, context) -> None:
        hello = (await context.read()).hello
        assert hello.host_id == "test"
        welcome = runner.Welcome(
            protocol_version=self.version, coordinator_id="fake", heartbeat_ms=self.heartbeat_ms
        )  # fmt: skip
        await context.write(runner.ToHost(welcome=welcome))
        await self.streams.put(context)
        await self.hangs_up.wait()

    async def FetchBlob(self, request, context) -> AsyncIterator[runner.BlobChunk]:
        if request.digest != DIGEST:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not here", (("perdure-code", "P0209"),))
        for start in range(0, len(BUILD), 50):
            yield runner.BlobChunk(data=BUILD[start : start + 50])


class Serving:
    """A gRPC server on a Unix socket that can be stopped and started again."""

    def __init__(self, address: str, servicer: Servicer) -> None:
        self.address = address
        self.servicer = servicer

    async def __aenter__(self) -> Servicer:
        self.server = grpc.aio.server()
        runner_pb2_grpc.add_HostsServicer_to_server(self.servicer, self.server)
        self.server.add_insecure_port(self.address)
        await self.server.start()
        return self.servicer

    async def __aexit__(self, *_: object) -> None:
        self.servicer.hangs_up.set()
        await self.server.stop(None)
        socket = Path(self.address.removeprefix("unix:"))
        async with asyncio.timeout(60):  # gRPC removes it some time later, even if it is another server's by then
            while socket.exists():
                await asyncio.sleep(0.001)


async def _read_until(stream, kind: str):
    async with asyncio.timeout(60):
        while True:
            message = await stream.read()
            if message.WhichOneof("message") == kind:
                return getattr(message, kind)


def _start(entry: str, build: str = DIGEST) -> list[runner.ToHost]:
    identity = {"session_id": "s", "epoch": 1}
    start = runner.Start(build=build, entry_point=entry, event=b"null", **identity)
    page = runner.HistoryPage(last=True, **identity)
    return [runner.ToHost(start=start), runner.ToHost(history=page)]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/g.sock"


@pytest.fixture
async def host(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch):
    """A host that dials for ever; gives the lines it says."""
    monkeypatch.setattr(remote, "_BACKOFF_S", (0.01, 0.05))
    said: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(run_remote(address, config(tmp_path / "state"), say=said.put_nowait))
    yield said
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_session_over_grpc(address: str, host: asyncio.Queue[str]) -> None:
    async with Serving(address, Servicer()) as servicer:
        stream = await servicer.streams.get()
        while "connected" not in await host.get():
            pass
        for message in _start("echo:3"):
            await stream.write(message)
        for number in (1, 2, 3):
            records = await _read_until(stream, "records")
            assert [record.no for record in records.records] == [number]
            assert records.sync
            await stream.write(runner.ToHost(committed=runner.Committed(session_id="s", epoch=1, no=number)))
        done = await _read_until(stream, "done")
        assert (done.no, done.result.data) == (4, b"null")


async def test_a_build_that_the_coordinator_lacks(address: str, host: asyncio.Queue[str]) -> None:
    async with Serving(address, Servicer()) as servicer:
        stream = await servicer.streams.get()
        for message in _start("echo:3", build="0" * 64):
            await stream.write(message)
        lost = await _read_until(stream, "lost")
        assert (lost.code, lost.fatal, lost.reason) == ("P0209", True, "not here")


async def test_a_host_dials_again_and_its_runners_are_gone(address: str, host: asyncio.Queue[str]) -> None:
    assert "no coordinator" in await host.get()
    async with Serving(address, Servicer()) as servicer:
        stream = await servicer.streams.get()
        for message in _start("stubborn"):
            await stream.write(message)
        pid = (await _read_until(stream, "attached")).pid
    while "connected" not in await host.get():  # nobody listens is told once for each reason
        pass
    assert "no coordinator" in await host.get()
    async with asyncio.timeout(60):
        while Path(f"/proc/{pid}/exe").exists():
            await asyncio.sleep(0.005)
    async with Serving(address, Servicer()) as servicer:
        stream = await servicer.streams.get()
        for message in _start("echo:0"):
            await stream.write(message)
        assert (await _read_until(stream, "done")).no == 1


async def test_a_coordinator_that_falls_silent_is_given_up(address: str, host: asyncio.Queue[str]) -> None:
    async with Serving(address, Servicer(heartbeat_ms=20)) as servicer:
        first = await servicer.streams.get()
        second = await servicer.streams.get()
        assert second is not first
        lines = [host.get_nowait() for _ in range(host.qsize())]
        assert any("answered no heartbeat for 0.1 s" in line for line in lines)


async def test_another_protocol_version_is_named(address: str, host: asyncio.Queue[str]) -> None:
    async with Serving(address, Servicer(version=2)) as servicer:
        await servicer.streams.get()
        async with asyncio.timeout(60):
            while "P0208" not in (line := await host.get()):
                pass
        assert "protocol 2" in line


async def test_a_host_process_leaves_on_sigterm(address: str, tmp_path: Path) -> None:
    import signal
    import sys

    program = (
        "import asyncio, sys; from pathlib import Path; from perdure_runner.host.main import main;"
        f"sys.exit(asyncio.run(main({address!r}, Path({str(tmp_path)!r}) / 'state', host_id='test')))"
    )
    async with Serving(address, Servicer()) as servicer:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
        stream = await servicer.streams.get()
        assert process.stderr is not None
        assert (await process.stderr.readline()).decode() == f"connected to {address} (coordinator fake)\n"
        process.send_signal(signal.SIGTERM)
        assert (await _read_until(stream, "leaving")).reason
        servicer.hangs_up.set()
        _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert stderr == b""


async def test_a_drained_host_ends_when_its_last_session_has_gone(address: str, tmp_path: Path) -> None:
    async with Serving(address, Servicer()) as servicer:
        running = asyncio.create_task(run_remote(address, config(tmp_path / "state"), say=lambda _line: None))
        stream = await servicer.streams.get()
        for message in _start("echo:1"):
            await stream.write(message)
        records = await _read_until(stream, "records")
        await stream.write(runner.ToHost(drain=runner.Drain(reason="drained")))
        health = runner.AskRunnerHealth(session_id="s", epoch=1)
        await stream.write(runner.ToHost(ask_runner_health=health))
        health = await _read_until(stream, "runner_health")
        assert (health.state, health.processes) == ("running", 1), "it goes on"
        assert health.pid > 0
        assert health.memory_bytes > 1_000_000
        for number in (records.records[-1].no, records.records[-1].no + 1):
            await stream.write(runner.ToHost(committed=runner.Committed(session_id="s", epoch=1, no=number)))
        done = await _read_until(stream, "done")
        assert done.session_id == "s"
        assert (await asyncio.wait_for(stream.read(), 60)) is grpc.aio.EOF, "the stream ends after the last word"
        servicer.hangs_up.set()
        await asyncio.wait_for(running, 60)


async def test_a_host_without_sessions_ends_when_it_is_drained(address: str, tmp_path: Path) -> None:
    async with Serving(address, Servicer()) as servicer:
        running = asyncio.create_task(run_remote(address, config(tmp_path / "state"), say=lambda _line: None))
        stream = await servicer.streams.get()
        heartbeat = await _read_until(stream, "heartbeat")
        health = heartbeat.health
        assert heartbeat.at_us > 0
        assert (health.sessions, health.load >= 0) == (0, True)
        assert min(health.memory_available_bytes, health.disk_free_bytes) > 0
        asked = runner.AskRunnerHealth(session_id="nobody", epoch=1)
        await stream.write(runner.ToHost(ask_runner_health=asked))
        assert (await _read_until(stream, "runner_health")) == runner.RunnerHealth(session_id="nobody", epoch=1)
        await stream.write(runner.ToHost(drain=runner.Drain(reason="drained")))
        assert (await asyncio.wait_for(stream.read(), 60)) is grpc.aio.EOF
        servicer.hangs_up.set()
        await asyncio.wait_for(running, 60)


async def test_who_cancels_a_host_that_ends_waits_for_its_end(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    stop = Host.stop

    async def slow(self: Host) -> None:
        ending.set()
        await go_on.wait()
        await stop(self)
        ended.set()

    monkeypatch.setattr(Host, "stop", slow)
    async with Serving(address, Servicer()) as servicer:
        running = asyncio.create_task(run_remote(address, config(tmp_path / "state"), say=lambda _line: None))
        stream = await servicer.streams.get()
        await stream.write(runner.ToHost(drain=runner.Drain(reason="drained")))
        await _read_until(stream, "heartbeat")
        assert (await asyncio.wait_for(stream.read(), 60)) is grpc.aio.EOF
        servicer.hangs_up.set()
        await asyncio.wait_for(ending.wait(), 60)
        running.cancel()
        await asyncio.sleep(0)
        assert not running.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 60)
    assert ended.is_set()


async def test_main_can_be_cancelled(address: str, tmp_path: Path) -> None:
    task = asyncio.create_task(host_main.main(address, tmp_path / "state"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _records(session: str, *numbers: int, sync: bool = False, epoch: int = 1, text: str = "") -> runner.FromHost:
    records = [runner.Record(no=number, log=LogLine(text=text)) for number in numbers]
    return runner.FromHost(records=runner.Records(session_id=session, epoch=epoch, records=records, sync=sync))


async def _all(outgoing: Outgoing) -> list[tuple[str, str, list[int]]]:
    taken = []
    while outgoing._messages:
        message = await outgoing.get()
        body = getattr(message, message.WhichOneof("message"))
        numbers = [record.no for record in body.records] if message.HasField("records") else []
        taken.append((message.WhichOneof("message"), body.session_id, numbers))
    return taken


async def test_records_that_wait_together_are_merged_and_never_pass_others() -> None:
    outgoing = Outgoing(lambda _held: None)
    outgoing.put(_records("a", 1))
    outgoing.put(_records("b", 1, 2))
    outgoing.put(_records("a", 2, 3, sync=True))
    outgoing.put(runner.FromHost(live=runner.Live(session_id="a", epoch=1)))
    outgoing.put(_records("a", 4))
    outgoing.put(_records("b", 3))
    outgoing.put(_records("a", 1, epoch=2))
    assert await _all(outgoing) == [
        ("records", "a", [1, 2, 3]),
        ("records", "b", [1, 2, 3]),
        ("live", "a", []),
        ("records", "a", [4]),
        ("records", "a", [1]),
    ]
    outgoing.put(_records("a", 2, epoch=2))
    assert await _all(outgoing) == [("records", "a", [2])]


async def test_of_what_a_session_waits_for_the_last_word_waits() -> None:
    """A session that says nothing else for ever must not fill the queue of all."""
    outgoing = Outgoing(lambda _held: None)

    def waiting(session: str, *ordinals: int, epoch: int = 1) -> runner.FromHost:
        calls = [runner.WaitingFor(lane="m", ordinal=ordinal) for ordinal in ordinals]
        return runner.FromHost(waiting=runner.Waiting(session_id=session, epoch=epoch, waits=calls))

    for message in (
        *(waiting("a", 1), waiting("b", 1), waiting("a", *range(100)), waiting("a", 2, 3)),
        *(_records("a", 1), waiting("a", 4), waiting("a", 5, epoch=2)),
    ):
        outgoing.put(message)
    taken = []
    while outgoing._messages:
        message = await outgoing.get()
        taken.append((message.waiting.session_id, [call.ordinal for call in message.waiting.waits]))
    assert taken == [("a", [2, 3]), ("b", [1]), ("", []), ("a", [4]), ("a", [5])]
    assert outgoing._bytes == 0


async def test_a_full_queue_holds_the_runners_until_half_of_it_is_gone() -> None:
    held: list[bool] = []
    outgoing = Outgoing(held.append)
    big = "x" * remote.MIB
    for number in range(40):
        outgoing.put(_records(str(number), 1, text=big))
    assert held == [True]
    while len(outgoing._messages) > 17:
        await outgoing.get()
    assert held == [True]
    await _all(outgoing)
    assert held == [True, False]
    assert outgoing._bytes == 0


async def test_a_writer_that_a_dying_call_cancels_has_not_said_all() -> None:
    """gRPC does that; a host that took it for the end of its work would end, too."""
    forever = asyncio.create_task(asyncio.Event().wait())
    assert not remote._said_all(forever)
    forever.cancel()
    await asyncio.wait((forever,))
    assert not remote._said_all(forever)
    failed = asyncio.create_task(asyncio.wait_for(asyncio.Event().wait(), 0))
    await asyncio.wait((failed,))
    assert not remote._said_all(failed)
    done = asyncio.create_task(asyncio.sleep(0))
    await asyncio.wait((done,))
    assert remote._said_all(done)
