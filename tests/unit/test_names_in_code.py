"""The names that code loads and stores are those that `dis` says."""

import argparse
import asyncio.tasks
import dis
import inspect
import pickle
import typing
from types import ModuleType

import pytest
from perdure_runner.child.effects import bindings

GLOBAL = {"STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_GLOBAL", "LOAD_NAME"}
ATTRIBUTE = {"LOAD_ATTR", "STORE_ATTR", "DELETE_ATTR", "LOAD_METHOD"}
STORED = {"STORE_GLOBAL", "DELETE_GLOBAL"}
MANY = "\n".join(f"name_{number} = other.attribute_{number}" for number in range(700))  # numbers of more than a byte
CHANGING = "def change():\n    global a, b\n    a = b.c\n    b.d = a\n    del b, a.e\n"


def expect_as_dis(source: str) -> None:
    code = compile(source, "source.py", "exec")
    instructions = [(each.opname, each.argval) for part in bindings._codes(code) for each in dis.get_instructions(part)]
    expected = (frozenset(name for op, name in instructions if op in kind) for kind in (GLOBAL, ATTRIBUTE, STORED))
    assert bindings._names(code) == tuple(expected)


@pytest.mark.parametrize("module", [argparse, asyncio.tasks, inspect, pickle, typing], ids=lambda m: m.__name__)
def test_of_modules(module: ModuleType) -> None:
    expect_as_dis(inspect.getsource(module))


@pytest.mark.parametrize("source", [MANY, CHANGING], ids=["many", "changing"])
def test_of_what_modules_seldom_do(source: str) -> None:
    expect_as_dis(source)
