"""Landlock: rules of the kernel's about files and TCP, for machines without user namespaces. linux/landlock.h."""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from perdure_runner.child.sandbox import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1  # flag of _CREATE: only ask
_BELOW = 1  # rule type: everything below a path
_FILE_RIGHTS_SINCE = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # by version of the interface
_READ = 0b1101  # execute, read file, read folder
_OF_FILES = 0b111 | 1 << 14 | 1 << 15  # those that make sense for a path that is no folder
_ALL_TCP, _TCP_SINCE = 0b11, 4
_ALL_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract Unix sockets and signals of others


def version() -> int:
    """Of the kernel's interface; 0: it has none, or it is switched off."""
    try:
        return kernel.system_call(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[str], writable: Iterable[str], *, tcp: bool) -> None:
    """From now on, for good: only these paths, no signals to others, and TCP only if wanted. Needs NO_NEW_PRIVS.

    Raises:
        OSError: the kernel refuses.
    """
    known = version()
    rights = sum(bits for since, bits in _FILE_RIGHTS_SINCE.items() if since <= known)
    handled_tcp = _ALL_TCP if known >= _TCP_SINCE and not tcp else 0
    scopes = _ALL_SCOPES if known >= _SCOPES_SINCE else 0
    size = 24 if known >= _SCOPES_SINCE else 16 if known >= _TCP_SINCE else 8
    attributes = struct.pack("QQQ", rights, handled_tcp, scopes)[:size]
    ruleset = kernel.system_call(_CREATE, attributes, ctypes.c_size_t(size), 0)
    try:
        for paths, granted in ((readable, _READ), (writable, rights)):
            for path in paths:
                _add(ruleset, path, granted)
        kernel.system_call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        kernel.system_call(_ADD, ruleset, _BELOW, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
