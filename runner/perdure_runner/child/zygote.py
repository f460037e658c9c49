"""The zygote: a process that has imported what every runner needs, and forks one for each request.

The host starts it as a program of its own, so it carries no gRPC, no thread and no secret. It talks with the host on a
SOCK_SEQPACKET socket, one JSON object a packet:

    host    {"op": "fork", "id": n, "groups": n, "alone": bool, "spare": false} and a launch:
                "confine": {...}, "egress": bool
                    with descriptors: for each of n control groups, the file by which one joins it; the runner's socket;
                    where its C-level output goes; a socket to the egress proxy. What `confine` may say: `Cell.enter`
            {"op": "fork", "id": n, "groups": n, "alone": bool, "spare": true}, perhaps with "confine": {...}
                    with descriptors: the groups' files; a SOCK_SEQPACKET socket. The fork does all that depends on no
                    session, says READY there, and waits there for its launch, and for its end. With "confine" it is
                    confined so before it waits, and what the launch says of that is the same
            {"op": "signal", "id": n, "signal": n, "group": bool}
                    SIGURG: give pages back (`sharing.py`); it is sent on if the runner waits for something
    zygote  {"op": "ready", "pid": n}
            {"op": "forked", "id": n, "pid": n}        the pid is the host's
            {"op": "failed", "id": n, "reason": text}  no process was made
            {"op": "exited", "id": n, "status": n}     negative: the signal that ended it

Signals go through the zygote because it alone knows that a pid is still its child's. When a runner exits, the rest of
its process group is killed before the pid is free again; in a process namespace, everything in it. When the host is
gone, everything is.
"""

import _signal as _signals  # type: ignore[import-not-found]  # what `signal` is made of
import array
import contextlib
import fcntl
import gc
import importlib
import itertools
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from perdure_runner.child import immortal, pages, relay, sharing
from perdure_runner.child.sandbox import limits
from perdure_runner.child.sandbox.cell import Cell
from perdure_runner.child.sandbox.nest import Nest

PRELOAD = """
argparse ast asyncio base64 bisect calendar collections.abc concurrent.futures concurrent.futures.thread
configparser contextvars copy csv dataclasses datetime decimal difflib email email.message email.parser enum
fnmatch fractions functools glob gzip hashlib heapq hmac html http.client http.cookies importlib.util inspect io
itertools json linecache logging math mimetypes operator pathlib pickle platform pprint queue random re secrets
select shutil socket sqlite3 ssl statistics string struct subprocess tempfile textwrap threading time tokenize
traceback types typing unicodedata urllib.error urllib.parse urllib.request uuid warnings weakref zlib zoneinfo
""".split()  # noqa: SIM905 (a list of eighty lines reads worse)

_MAX_PACKET = 64 << 10
_MAX_DESCRIPTORS = 8
_CRASHED = 70  # EX_SOFTWARE
_SPANS_A_LOOK = 8
"""So many spans of memory are copied between looks for a launch: 50 us."""
READY = b"!"
"""What a spare says when it waits."""
_COMPILER_SECONDS = 60
_COMPILER_MEMORY = 2 << 30
_COMPILER_FILE = 64 << 20

Main = Callable[[socket.socket], int]
Learn = Callable[[], Sequence[pages.Span]]


def preload() -> None:
    """Import what handlers commonly use, so that every runner has it without work. Missing modules are no error."""
    for name in PRELOAD:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def limit_compiler() -> None:
    """Bound the process that compiles a build: its input is a stranger's."""
    for what, most in (
        (resource.RLIMIT_CPU, _COMPILER_SECONDS),
        (resource.RLIMIT_AS, _COMPILER_MEMORY),
        (resource.RLIMIT_FSIZE, _COMPILER_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        limits.cap(what, most)


def serve(control: socket.socket, main: Main, cell: Cell, learn: Learn | None = None) -> int:
    """Fork runners that call `main` with their socket, until the host closes `control`.

    learn: says, when all is there that runners share, which of its memory they will write to.
    """
    zygote = _Zygote(control, main, cell)
    gc.collect()
    gc.disable()
    shares = isinstance(cell, Nest) and sharing.is_possible()
    uncounted = immortal.make_all(also_counted=shares)
    gc.freeze()
    if learn is not None:
        zygote.written = learn()
    zygote.shares = shares and sharing.share(uncounted)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        zygote.run()
    zygote.kill_all()
    return 0


@dataclass(eq=False, slots=True)
class _Runner:
    """A fork that is not wholly gone. `alive`: which of the runner and its namespace's init are not yet reaped."""

    number: int
    pid: int
    init: int  # 0: it has no process namespace of its own
    outer: int  # its number in the host's
    alive: set[int]
    status: int = 0

    def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to the runner, or to all it has started."""
        if group and self.init in self.alive and number == signal.SIGKILL:
            os.kill(self.init, number)
        elif self.pid in self.alive:
            _signal(self.pid, number, group=group)


class _Zygote:
    def __init__(self, control: socket.socket, main: Main, cell: Cell) -> None:
        self._control = control
        self._main = main
        self._cell = cell
        self._by_pid: dict[int, _Runner] = {}
        self._by_number: dict[int, _Runner] = {}
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self.written: Sequence[pages.Span] = ()
        """What a runner that waits has pages of its own of."""
        self.shares = False
        """Runners give pages back when they are asked to."""

    def run(self) -> None:
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the host decides; a terminal's ^C is not for its runners
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # "stop": must not kill a runner that has no handler for it yet
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._cell.ready()
        self._cell.prepare()
        self._report(op="ready", pid=os.getpid())
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wake.fileno() in ready:
                self._wake.recv(_MAX_PACKET)
                self._reap()
            if self._control.fileno() in ready and not self._serve_one():
                return

    def kill_all(self) -> None:
        for runner in self._by_number.values():
            runner.signal(signal.SIGKILL, group=True)

    def _serve_one(self) -> bool:
        packet, descriptors = _receive(self._control)
        if not packet:
            return False
        request = json.loads(packet)
        if request["op"] == "fork":
            self._fork(request, descriptors)
        elif (runner := self._by_number.get(request["id"])) is not None and self._is_due(request["signal"], runner):
            runner.signal(request["signal"], group=request["group"])
        return True

    def _is_due(self, number: int, runner: _Runner) -> bool:
        """Whether a signal is one for now: pages are given back by who waits, if by anybody."""
        return number != sharing.SIGNAL or (self.shares and sharing.is_waiting(runner.outer))

    def _fork(self, request: dict[str, Any], descriptors: list[int]) -> None:
        number = request["id"]
        try:
            pid, init, outer = self._cell.fork()
        except OSError as error:
            answer = {"op": "failed", "id": number, "reason": str(error)}
        else:
            if pid == 0:
                self._be_runner(request, descriptors)
            runner = _Runner(number, pid, init, outer, {pid, init} - {0})
            self._by_number[number] = runner
            self._by_pid.update(dict.fromkeys(runner.alive, runner))
            answer = {"op": "forked", "id": number, "pid": outer}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._report(**answer)
        with contextlib.suppress(OSError):  # then the next fork tries again, and says why it cannot
            self._cell.prepare()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):  # there are none at all
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._reap_one(ended.si_pid)

    def _reap_one(self, pid: int) -> None:
        runner = self._by_pid.pop(pid, None)
        if runner is not None and pid == runner.pid:
            runner.signal(signal.SIGKILL, group=True)  # while its zombie holds the pid, nobody else can have it
        _, status = os.waitpid(pid, 0)
        if runner is None:
            self._cell.lost(pid)
            return
        runner.alive.discard(pid)
        if pid == runner.pid:
            runner.status = os.waitstatus_to_exitcode(status)
        if not runner.alive:
            del self._by_number[runner.number]
            self._report(op="exited", id=runner.number, status=runner.status)

    def _report(self, **message: Any) -> None:
        self._control.send(json.dumps(message).encode())

    def _be_runner(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Turn this fresh fork into a runner; never returns."""
        status = _CRASHED
        try:
            groups = request["groups"]
            for group in descriptors[:groups]:
                os.write(group, b"0")
            _reset_signals()
            self._cell.settle()
            if request["alone"]:
                self._cell.leave_network()
            launch, given = request, descriptors[groups:]
            most, settled = os.sysconf("SC_OPEN_MAX"), request["spare"] and "confine" in request
            if request["spare"]:
                launch, given = self._wait(given[0], request.get("confine"))
            os.setpgid(0, 0)  # no session of its own, which would compete with the coordinator as an equal
            connection, output, *egresses = given
            egress = egresses[0] if launch["egress"] else None
            connection = _keep_only(self._null, output, connection, egress, most)
            if not settled:
                self._confine(launch["confine"], egress=4 if egress else None)
            elif egress:
                relay.open_door(4)
            gc.enable()
            status = self._main(socket.socket(fileno=connection))
        except BaseException:  # noqa: BLE001 (nothing may get past a fork)
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _confine(self, confine: dict[str, Any], *, egress: int | None = None) -> None:
        if confine.get("network") != "all":
            self._cell.leave_network()
        self._cell.enter(confine, counted=bool(confine.get("counted")), egress=egress)

    def _wait(self, line: int, confine: dict[str, Any] | None) -> tuple[dict[str, Any], list[int]]:
        """Hold nothing of the zygote's, and give the launch that comes on `line`; if none does any more, end."""
        _close_all_but({0, 1, 2, line, self._null})
        if confine is not None:
            self._confine(confine)
        with socket.socket(fileno=line) as host:
            host.send(READY)
            arrivals = select.poll()
            arrivals.register(host, select.POLLIN)
            turns = itertools.count(1)
            pages.take(self.written, lambda: next(turns) % _SPANS_A_LOOK == 0 and arrivals.poll(0))
            packet, descriptors = _receive(host)
        if not packet:
            os._exit(0)
        return json.loads(packet), descriptors


def _receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Give a packet and the descriptors that came with it; nothing at the end."""
    descriptors = array.array("i")
    space = socket.CMSG_SPACE(_MAX_DESCRIPTORS * descriptors.itemsize)
    packet, ancillary, _, _ = sock.recvmsg(_MAX_PACKET, space)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data)
    return packet, descriptors.tolist()


def _reset_signals() -> None:
    """Have the signals of a fresh program: by C's functions, as those of `signal` also make enumerations of numbers."""
    _signals.set_wakeup_fd(-1)
    _signals.signal(_signals.SIGCHLD, _signals.SIG_DFL)
    _signals.signal(_signals.SIGINT, _signals.default_int_handler)
    _signals.pthread_sigmask(_signals.SIG_SETMASK, ())


def _close_all_but(kept: Collection[int]) -> None:
    below = 0
    for descriptor in sorted(kept):
        if below < descriptor:  # CPython takes the empty range at 0 for everything
            os.closerange(below, descriptor)
        below = descriptor + 1
    os.closerange(below, os.sysconf("SC_OPEN_MAX"))


def _keep_only(null: int, output: int, connection: int, egress: int | None, most: int) -> int:
    """Close every descriptor below `most` but standard input (empty), output and error, the connection, which becomes
    3, and the proxy's, which becomes 4."""
    # A number of theirs may be 0 to 4 itself when the zygote was started with these closed; the copies' are not.
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 5) for descriptor in (connection, egress) if descriptor]
    os.dup2(null, 0, inheritable=True)
    os.dup2(output, 1, inheritable=True)
    os.dup2(output, 2, inheritable=True)
    for number, copy in enumerate(high, 3):
        os.dup2(copy, number, inheritable=False)
    os.closerange(3 + len(high), most)
    return 3


def _signal(pid: int, number: int, *, group: bool) -> None:
    """Send a signal to a child that is not reaped yet, or to its whole group."""
    if group:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
            return
    os.kill(pid, number)  # no group yet: it has not come to `setpgid`, so it is alone
