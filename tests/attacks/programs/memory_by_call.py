"""The memory of others, by process_vm_readv."""

import ctypes
import errno
import os

from probing import libc, verdict


class Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def main(event):
    candidates = {*event["pids"].values(), os.getppid(), 1} - {0, os.getpid()}
    return verdict(f"process {pid}" for pid in sorted(candidates) if may_read(pid))


def may_read(pid):
    """Whether the kernel looks; what is at our address over there does not matter."""
    buffer = ctypes.create_string_buffer(16)
    piece = Piece(ctypes.addressof(buffer), 16)
    if libc.process_vm_readv(pid, ctypes.byref(piece), 1, ctypes.byref(piece), 1, 0) >= 0:
        return True
    return ctypes.get_errno() == errno.EFAULT
