"""A C library by ctypes: it makes a class of its own for its functions, which cannot be written down. Both are handles,
and come back with the types that functions were given."""

import ctypes


def main(event):
    libc = ctypes.CDLL(None)
    absolute = libc.abs
    absolute.restype = ctypes.c_uint8
    absolute.argtypes = [ctypes.c_int]
    return [libc.abs(-257), absolute(-258), libc.strlen(b"three"), absolute(-259)]


CASE = {"result": [1, 2, 5, 3]}
