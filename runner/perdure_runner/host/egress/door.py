"""One session's way out: its listener, the connections through it, and their limits."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final

from perdure_runner.host.egress.config import EgressConfig
from perdure_runner.host.egress.heads import BadRequest, Request, parse
from perdure_runner.host.egress.passing import Budget, Cut, Patience, Pipe
from perdure_runner.host.egress.routes import Refused, Resolve, Streams, Unreachable, connect
from perdure_runner.host.egress.rules import Address, Rules

Work = Coroutine[Any, Any, None]

_LOOKUPS: Final = 2  # of one session at once: it shares the threads for them with all others
_LINGER_S: Final = 2.0  # for the rest of a request that was refused: cut off at once, the client would not see why
_AGAIN_S: Final = 0.2  # until a host without a free descriptor tries again
_READ_BYTES: Final = 64 << 10
_STATUS: Final[dict[type[Exception], int]] = {BadRequest: 400, Refused: 403, Unreachable: 502}


class Door:
    """Serves the listener that the runner's side sends, from then on until `close`.

    `give` is the descriptor for the runner's side, a Unix socket.
    """

    def __init__(self, rules: Rules, config: EgressConfig, resolve: Resolve) -> None:
        self._loop = asyncio.get_running_loop()
        self._rules = rules
        self._config = config
        self._resolve = resolve
        self._budget = Budget(config.bytes_total)
        self._lookups = asyncio.Semaphore(_LOOKUPS)
        self._serving: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._loop.add_reader(self._ours.fileno(), self._receive)

    def give(self) -> int:
        """The descriptor for the runner's side; whoever gets it closes it. Once only."""
        return self._theirs.detach()

    def until(self, ended: Callable[[int | None], None]) -> Callable[[int | None], None]:
        """`ended`, but it closes the door first."""

        def over(status: int | None) -> None:
            self.close()
            ended(status)

        return over

    def close(self) -> None:
        """Cut all connections. Harmless when done twice."""
        self._theirs.close()
        self._forget(self._ours)
        if self._listener is not None:
            self._forget(self._listener)
        for task in self._serving:
            task.cancel()

    def _forget(self, end: socket.socket) -> None:
        if end.fileno() >= 0:
            self._loop.remove_reader(end.fileno())
            end.close()

    def _receive(self) -> None:
        """Take the listener. Nothing is read after it: that could only be user code's."""
        try:
            _, descriptors, _, _ = socket.recv_fds(self._ours, 16, 1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            descriptors = []
        self._forget(self._ours)
        if descriptors:
            self._listener = socket.socket(fileno=descriptors[0])
            self._listener.setblocking(False)
            self._listen()

    def _listen(self) -> None:
        room = len(self._serving) < self._config.connections
        if room and self._listener is not None and self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        """Take one connection. Those beyond the limit wait in the listener's backlog."""
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # no descriptor is free: whoever waits would be announced again and again
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(_AGAIN_S, self._listen)
            return
        client.setblocking(False)
        task = self._loop.create_task(self._serve(client))
        self._serving.add(task)
        task.add_done_callback(self._served)
        if len(self._serving) >= self._config.connections:
            self._loop.remove_reader(self._listener.fileno())

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        self._listen()
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._loop.call_exception_handler({"message": "the way out of a session failed", "exception": fault})

    async def _serve(self, client: socket.socket) -> None:
        streams = await asyncio.open_connection(sock=client, limit=self._config.head_bytes)
        with _closing(streams[1]), contextlib.suppress(OSError, TimeoutError, Cut):
            try:
                request = parse(await self._head(streams[0]))
                server = await self._reach(request)
            except (BadRequest, Refused, Unreachable) as error:
                await _answer(streams, _STATUS[type(error)], str(error))
                return
            with _closing(server[1]):
                await self._pass(request, streams, server)

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        """Everything up to the body."""
        try:
            async with asyncio.timeout(self._config.head_s):
                return await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise BadRequest(f"the request's head has more than {self._config.head_bytes} bytes") from None
        except asyncio.IncompleteReadError:
            raise Cut from None

    async def _reach(self, request: Request) -> Streams:
        if self._budget.spent:
            raise Refused(f"the session has used all of the {self._budget.total} bytes that it may send and receive")
        try:
            async with asyncio.timeout(self._config.connect_s):
                return await connect(request.host, request.port, self._rules, self._look_up, self._config.chunk_bytes)
        except TimeoutError:
            raise Unreachable(f"{request.host} did not answer within {self._config.connect_s:g} s") from None

    async def _look_up(self, host: str, port: int) -> Sequence[Address]:
        """Resolve a name. One that nobody waits for any more counts until its thread is free."""
        await self._lookups.acquire()
        looking = asyncio.ensure_future(self._resolve(host, port))
        looking.add_done_callback(self._looked_up)
        return await asyncio.shield(looking)

    def _looked_up(self, looking: asyncio.Future[Sequence[Address]]) -> None:
        self._lookups.release()
        if not looking.cancelled():
            looking.exception()  # seen, even if nobody waits

    async def _pass(self, request: Request, client: Streams, server: Streams) -> None:
        patience = Patience(self._config.idle_s)
        out = Pipe(client[0], server[1], self._budget, patience, self._config.chunk_bytes)
        back = Pipe(server[0], client[1], self._budget, patience, self._config.chunk_bytes)
        async with patience.scope:
            if request.tunnel:
                client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await _together(out.all(), back.all(), asyncio.FIRST_EXCEPTION)
            else:
                server[1].write(request.forward)
                # One request a connection: a second one might be for another host, and is never read.
                await _together(out.body(request.length), back.all(), asyncio.FIRST_COMPLETED)


async def _together(out: Work, back: Work, enough: str) -> None:
    """Do both, and end both with the first that fails, or with `back` if the first that ends is `enough`."""
    sending, receiving = asyncio.ensure_future(out), asyncio.ensure_future(back)
    try:
        await asyncio.wait((sending, receiving), return_when=enough)
        if sending.done():
            sending.result()
            await receiving
        else:
            receiving.result()
    finally:
        for task in (sending, receiving):
            task.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)


async def _answer(client: Streams, status: int, reason: str) -> None:
    """Say no. The reason is the phrase of the first line, too: most clients show no more of an answer to CONNECT."""
    body = f"perdure: {reason}\n".encode()
    phrase = "perdure: " + "".join(c if " " <= c <= "~" else "?" for c in reason)
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    reader, writer = client
    writer.write(head.encode("ascii") + b"Connection: close\r\n\r\n" + body)
    writer.write_eof()
    async with asyncio.timeout(_LINGER_S):
        while await reader.read(_READ_BYTES):
            pass


@contextlib.contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close at the end, what was written included; at once if the session is over."""
    try:
        yield
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
    finally:
        writer.close()
