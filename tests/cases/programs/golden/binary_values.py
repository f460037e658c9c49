"""Bytes, bytearrays, surrogates, not-a-number, infinities, huge integers, complex numbers."""

import math

import perdure


@perdure.activity
def give(kind):
    return {
        "bytes": bytes(range(256)),
        "array": bytearray(b"\x00\xff"),
        "surrogate": "\ud800x",
        "nan": float("nan"),
        "inf": [float("inf"), -0.0],
        "huge": 10**400,
        "complex": 1 - 2j,
        "zero": "\x00",
        "int keys": {1: "a", None: "b", (1, 2): "c"},
        "floats": [0.1 + 0.2, 1e-320, 1.0],
    }[kind]


def main(event):
    assert give("bytes") == bytes(range(256))
    array = give("array")
    assert type(array) is bytearray and array == b"\x00\xff"
    assert give("surrogate") == "\ud800x"
    assert math.isnan(give("nan"))
    assert give("inf")[0] == math.inf and math.copysign(1, give("inf")[1]) == -1
    assert give("huge") == 10**400
    assert give("complex") == 1 - 2j
    assert give("zero") == "\x00"
    assert give("int keys") == {1: "a", None: "b", (1, 2): "c"}
    floats = give("floats")
    assert floats == [0.1 + 0.2, 1e-320, 1.0] and type(floats[2]) is float
    print(repr(floats))
    return "all equal"


CASE = {"result": "all equal", "calls": ["activity binary_values.give"] * 11, "effects": 0}
