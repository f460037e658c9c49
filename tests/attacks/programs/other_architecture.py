"""A system call by the number it has for 32-bit programs, past filters that only know the others."""

import ctypes
import mmap
import platform

from probing import in_child, verdict

KEYCTL = bytes.fromhex("53 b820010000 31db b9fdffffff 31d2 cd80 5b c3")  # keyctl(KEYCTL_GET_KEYRING_ID, ...); ret
REFUSED = (-1, -38)  # EPERM, ENOSYS


def main(event):
    if platform.machine() != "x86_64":
        return verdict([])
    return verdict(["keyctl of 32-bit programs"] if in_child(calling) else [])


def calling():
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(KEYCTL)
    code = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return code() not in REFUSED
