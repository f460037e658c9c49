"""Shared memory of other processes, by its key."""

import ctypes

from probing import canaries, libc, verdict


def main(event):
    number = libc.shmget(event["keys"]["decoy"], 4096, 0)
    if number < 0:
        return verdict([])
    libc.shmat.restype = ctypes.c_void_p
    return verdict(canaries(ctypes.string_at(libc.shmat(number, None, 0o10000), 4096)))
