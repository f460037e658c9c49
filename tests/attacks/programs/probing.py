"""What the attacks share. They run as user code: standard library only."""

import ctypes
import os
import re
import socket
import stat
import struct
import time

libc = ctypes.CDLL(None, use_errno=True)
CANARY = re.compile(rb"CANARY-[a-z]+-[0-9a-f]{16}")
PATIENCE_S = 30.0
"""For an answer from where there is somebody: a loaded machine is no reason not to see it."""


def saw(*details):
    """The attack worked; what it could see."""
    return {"leaked": True, "detail": " ".join(map(str, details))[:4000]}


def verdict(found):
    """It worked if it found anything."""
    found = list(found)
    return {"leaked": bool(found), "detail": " ".join(map(str, found))[:4000]}


def canaries(data):
    """The harness's secrets in these bytes."""
    return sorted({match.decode() for match in CANARY.findall(data)})


def attempt(function, *arguments, **named):
    """What a function gives, or None where the system refuses."""
    try:
        return function(*arguments, **named)
    except OSError:
        return None


def content(path, most=1 << 20):
    """A file's first bytes; nothing where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, most)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def processes():
    """Numbers of all processes that can be seen."""
    return sorted(int(name) for name in attempt(os.listdir, "/proc") or () if name.isdigit())


def has_route(address, port):
    """Whether packets would find a way. A UDP `connect` only looks for it and sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect((address, port))
    except OSError:
        return False
    return True


def system_call(number, *arguments):
    """The error number of a system call, 0 if it succeeded."""
    return 0 if libc.syscall(number, *arguments) >= 0 else ctypes.get_errno()


def may_open(path, flags=os.O_WRONLY):
    """Whether a file can be opened; nothing is read or written."""
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def answer(family, address):
    """What a server says that talks first; None where there is none to be reached."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(PATIENCE_S)
            client.connect(address)
            return client.recv(4096)
    except OSError:
        return None


def in_child(function):
    """Run it in a fork, which may harm itself; whether it returned something true."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if function() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def own_socket():
    """The runner's socket to its host, which user code shares a process with."""
    for descriptor in range(3, 64):
        status = attempt(os.fstat, descriptor)
        if status and stat.S_ISSOCK(status.st_mode):
            found = socket.socket(fileno=os.dup(descriptor))
            if found.family == socket.AF_UNIX and found.type == socket.SOCK_STREAM and peer(found):
                return found
    raise LookupError("no socket to the host")


def peer(connection):
    try:
        connection.getpeername()
    except OSError:
        return False
    return True


def frame(header, payload=b""):
    """A frame as the host wants it; `header` is text."""
    head = header.encode()
    return struct.pack(">II", 4 + len(head) + len(payload), len(head)) + head + payload


def say(*pieces):
    """Send bytes to the host past the runner's own code."""
    connection = own_socket()
    connection.settimeout(PATIENCE_S)
    for piece in pieces:
        connection.sendall(piece)


def wait_for_the_host():
    """Give the host time to answer to what it was sent, by ending this process."""
    time.sleep(4 * PATIENCE_S)
    return saw("the host did not mind")
