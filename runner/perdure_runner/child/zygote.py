"""The zygote: a process that has imported what every runner needs, and forks one for each request.

The host starts it as a program of its own, so it carries no gRPC, no thread and no secret. It talks with the host on a
SOCK_SEQPACKET socket, one JSON object a packet:

    host    {"op": "fork", "id": n, "memory": bytes}   with two descriptors: the runner's socket, and where its C-level
                                                       output goes
            {"op": "signal", "id": n, "signal": n, "group": bool}
    zygote  {"op": "ready", "pid": n}
            {"op": "forked", "id": n, "pid": n}
            {"op": "failed", "id": n, "reason": text}  no process was made
            {"op": "exited", "id": n, "status": n}     negative: the signal that ended it

Signals go through the zygote because it alone knows that a pid is still its child's. When a runner exits, the rest of
its process group is killed before the pid is free again. When the host is gone, everything is.
"""

import array
import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

PRELOAD = """
argparse ast asyncio base64 bisect calendar collections.abc concurrent.futures concurrent.futures.thread
configparser contextvars copy csv dataclasses datetime decimal difflib email email.message email.parser enum
fnmatch fractions functools glob gzip hashlib heapq hmac html http.client http.cookies importlib.util inspect io
itertools json linecache logging math mimetypes operator pathlib pickle platform pprint queue random re secrets
select shutil socket sqlite3 ssl statistics string struct subprocess tempfile textwrap threading time tokenize
traceback types typing unicodedata urllib.error urllib.parse urllib.request uuid warnings weakref zlib zoneinfo
""".split()  # noqa: SIM905 (a list of eighty lines reads worse)

_PR_SET_PDEATHSIG = 1
_MAX_PACKET = 4096
_CRASHED = 70  # EX_SOFTWARE
_OPEN_FILES = 1024
_COMPILER_SECONDS = 60
_COMPILER_MEMORY = 2 << 30
_COMPILER_FILE = 64 << 20

Main = Callable[[socket.socket], int]


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
        _cap(what, most)


def serve(control: socket.socket, main: Main) -> int:
    """Fork runners that call `main` with their socket, until the host closes `control`."""
    zygote = _Zygote(control, main)
    gc.collect()
    gc.freeze()
    gc.disable()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        zygote.run()
    zygote.kill_all()
    return 0


class _Zygote:
    def __init__(self, control: socket.socket, main: Main) -> None:
        self._control = control
        self._main = main
        self._ids: dict[int, int] = {}  # pid -> id, of children not yet reaped
        self._pids: dict[int, int] = {}
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._own_memory = _address_space()

    def run(self) -> None:
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the host decides; a terminal's ^C is not for its runners
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # "stop": must not kill a runner that has no handler for it yet
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._report(op="ready", pid=os.getpid())
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wake.fileno() in ready:
                self._wake.recv(_MAX_PACKET)
                self._reap()
            if self._control.fileno() in ready and not self._serve_one():
                return

    def kill_all(self) -> None:
        for pid in self._ids:
            _signal(pid, signal.SIGKILL, group=True)

    def _serve_one(self) -> bool:
        packet, descriptors = self._receive()
        if not packet:
            return False
        request = json.loads(packet)
        if request["op"] == "fork":
            self._fork(request, *descriptors)
        elif (pid := self._pids.get(request["id"])) is not None:
            _signal(pid, request["signal"], group=request["group"])
        return True

    def _receive(self) -> tuple[bytes, list[int]]:
        descriptors = array.array("i")
        packet, ancillary, _, _ = self._control.recvmsg(_MAX_PACKET, socket.CMSG_SPACE(2 * descriptors.itemsize))
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data)
        return packet, descriptors.tolist()

    def _fork(self, request: dict[str, Any], connection: int, output: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._report(op="failed", id=request["id"], reason=str(error))
        else:
            if pid == 0:
                self._be_runner(parent, request, connection, output)
            self._ids[pid] = request["id"]
            self._pids[request["id"]] = pid
            self._report(op="forked", id=request["id"], pid=pid)
        finally:
            os.close(connection)
            os.close(output)

    def _reap(self) -> None:
        while self._ids:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            _signal(ended.si_pid, signal.SIGKILL, group=True)  # while its zombie holds the pid, nobody else can have it
            _, status = os.waitpid(ended.si_pid, 0)
            number = self._ids.pop(ended.si_pid)
            del self._pids[number]
            self._report(op="exited", id=number, status=os.waitstatus_to_exitcode(status))

    def _report(self, **message: Any) -> None:
        self._control.send(json.dumps(message).encode())

    def _be_runner(self, parent: int, request: dict[str, Any], connection: int, output: int) -> None:
        """Turn this fresh fork into a runner; never returns."""
        status = _CRASHED
        try:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                return  # the zygote died before it could take us along
            os.setsid()
            _reset_signals()
            connection = _keep_only(self._null, output, connection)
            _limit(request["memory"] and self._own_memory + request["memory"])
            gc.enable()
            status = self._main(socket.socket(fileno=connection))
        except BaseException:  # noqa: BLE001 (nothing may get past a fork)
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _keep_only(null: int, output: int, connection: int) -> int:
    """Close every descriptor but standard input (empty), output and error, and the connection, which becomes 3."""
    # The socket's number may be 0 to 3 itself when the zygote was started with these closed; the copy's is not.
    copy = os.dup(connection) if connection <= 3 else connection
    os.dup2(null, 0, inheritable=True)
    os.dup2(output, 1, inheritable=True)
    os.dup2(output, 2, inheritable=True)
    os.dup2(copy, 3, inheritable=False)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    return 3


def _limit(memory: int) -> None:
    _cap(resource.RLIMIT_CORE, 0)
    _cap(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if memory:
        _cap(resource.RLIMIT_AS, memory)


def _cap(what: int, most: int) -> None:
    """Lower a resource limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))


def _signal(pid: int, number: int, *, group: bool) -> None:
    """Send a signal to a child that is not reaped yet, or to its whole group."""
    if group:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
            return
    os.kill(pid, number)  # no group yet: it has not come to `setsid`, so it is alone


def _address_space() -> int:
    """Bytes of address space this process has: a runner's limit comes on top of what it inherits."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
