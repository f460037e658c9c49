"""Which calls are external. The table is the specification: one callable a line."""

import asyncio
import collections
import concurrent.futures
import contextlib
import dataclasses
import datetime  # noqa: ICN001 - the table reads as its user writes
import decimal
import enum
import fractions
import functools
import gc
import heapq
import io
import itertools
import json
import logging
import math
import operator
import os
import pathlib
import platform
import queue
import random
import re
import secrets
import shutil
import socket
import sqlite3
import string
import subprocess
import sys
import tempfile
import threading
import time
import types
import typing
import urllib.parse
import urllib.request
import uuid
import weakref

import perdure
import pytest
import requests
from perdure import _runtime
from perdure_runner.child.policy.policy import MARK, Policy, Verdict

D, A, M, C = Verdict.DIRECT, Verdict.ACTIVITY, Verdict.MARKER, Verdict.CALLBACKS


def make(**kwargs):
    """A policy for which this file is the project."""
    policy = Policy(lambda file: file == __file__, **kwargs)
    policy.adopt(__name__)
    return policy


@pytest.fixture
def policy():
    return make()


@pytest.fixture(autouse=True)
def no_registrations(monkeypatch):
    monkeypatch.setattr(_runtime, "no_activity", _runtime.NoActivities())


# ---------------------------------------------------------------- a project


def user_function():
    return None


async def user_coroutine():
    yield None


class UserClass:
    def __init__(self):
        super().__init__()

    def method(self):
        return super().__init__

    @classmethod
    def make(cls):
        return cls()

    @staticmethod
    def static():
        return None

    def __call__(self):
        return None


class UserSession(requests.Session):
    def base_init(self):
        return super().__init__


class UserPath(type(pathlib.Path())):
    pass


class UserList(list):
    pass


class UserThread(threading.Thread):
    pass


class UserEnum(enum.Enum):
    ONE = 1


class UserError(Exception):
    pass


@dataclasses.dataclass
class UserData:
    x: int = 1


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 - it is what is tested


@contextlib.contextmanager
def user_context():
    yield


@functools.wraps(requests.get)
def user_wrapper():
    return None


def by_library(f):
    """What a decorator of a library that is not pure makes of `f`."""
    namespace = {"__name__": "tenacity", "f": f, "functools": functools}
    exec(compile("@functools.wraps(f)\ndef wrapped(*a): return f(*a)", "/site-packages/tenacity.py", "exec"), namespace)
    return namespace["wrapped"]


def library(name, source):
    """A module of a library that nobody knows."""
    module = types.ModuleType(name)
    exec(compile(source, f"/site-packages/{name}.py", "exec"), module.__dict__)
    return module


acme = library(
    "acme",
    """
import contextlib, collections.abc
def fetch(): ...
class Client:
    def get(self): ...
    @classmethod
    def make(cls): ...
    def __call__(self): ...
class Mapping(collections.abc.Mapping):
    def __getitem__(self, k): ...
    def __iter__(self): ...
    def __len__(self): ...
class Error(Exception): ...
@contextlib.contextmanager
def connection(): yield
""",
)
now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
path = pathlib.Path("/nowhere")
pool = concurrent.futures.ThreadPoolExecutor(1)
dice = random.Random(1)

TABLE = [
    # the project's own code
    (D, user_function), (D, user_coroutine), (D, UserClass), (D, UserClass().method), (D, UserClass.make),
    (D, UserClass.static), (D, UserClass()), (D, lambda: 1), (D, functools.partial(user_function)),
    (D, UserEnum), (D, UserError), (D, UserData), (D, Point), (D, Point._make), (D, Point(1, 2)._asdict),
    (D, Point(1, 2)._replace), (D, user_context), (D, user_wrapper), (D, functools.lru_cache(user_function)),
    (D, functools.cache(user_function)), (D, by_library(user_function)), (D, UserData.__init__), (D, UserThread),
    (D, types.MethodType(user_function, acme.Client())), (D, UserList().append),
    (D, functools.singledispatch(user_function)),
    # constructing what the project derives from others
    (D, UserClass().method()), (D, UserSession), (D, UserSession().base_init()), (D, requests.Session.__init__),
    (D, object.__new__), (D, requests.Session.__init_subclass__), (D, UserThread().start),
    # known to be deterministic
    (D, len), (D, print), (D, str), (D, str.upper), (D, "".join), (D, {}.get), (D, [].append), (D, int.from_bytes),
    (D, math.sqrt), (D, json.dumps), (D, json.JSONEncoder().encode), (D, decimal.Decimal), (D, decimal.Decimal(1).sqrt),
    (D, fractions.Fraction), (D, re.compile), (D, re.compile("a").match), (D, re.match("a", "a").group),
    (D, now.replace),
    (D, datetime.datetime), (D, datetime.timedelta), (D, datetime.datetime.fromisoformat), (D, collections.Counter),
    (D, collections.OrderedDict().move_to_end), (D, collections.deque().append), (D, heapq.heappush),
    (D, itertools.count), (D, operator.itemgetter(1)), (D, string.Template("").substitute), (D, urllib.parse.urlparse),
    (D, urllib.parse.urlparse("").geturl), (D, urllib.request.Request), (D, io.StringIO), (D, io.StringIO().write),
    (D, io.BytesIO().read), (D, queue.Queue().put), (D, threading.Lock), (D, threading.Lock().acquire), (D, gc.collect),
    (D, weakref.ref), (D, sys.exit), (D, logging.getLogger), (D, logging.getLogger("x").info), (D, logging.info),
    (D, contextlib.suppress), (D, dataclasses.asdict), (D, uuid.UUID), (D, uuid.uuid5), (D, os.getenv),
    (D, os.environ.get), (D, os.environ.setdefault), (D, os.fspath), (D, os.path.join), (D, os.path.basename),
    (D, pathlib.Path), (D, path.joinpath), (D, path.with_suffix), (D, UserPath("a").joinpath), (D, time.strptime),
    (D, asyncio.gather), (D, asyncio.run), (D, asyncio.Queue), (D, secrets.compare_digest), (D, hash), (D, id),
    (D, typing.NamedTuple), (D, typing.TypedDict), (D, list[int]), (D, typing.List[int]), (D, typing.NewType("N", int)),  # noqa: UP006
    (D, enum.Enum), (D, type), (D, types.SimpleNamespace), (D, dice.random), (D, dice.randrange), (D, dice.shuffle),
    (D, acme.Error), (D, requests.RequestException), (D, acme.Error().with_traceback), (D, socket.htons),
    # perdure's own
    (D, perdure.sleep), (D, perdure.next_signal), (D, perdure.activity), (D, perdure.RetryPolicy),
    # pure, with callbacks
    (C, map), (C, filter), (C, sorted), (C, min), (C, max), (C, iter), (C, [].sort), (C, functools.reduce),
    (C, dataclasses.field), (C, collections.defaultdict), (C, itertools.starmap), (C, itertools.groupby),
    (C, threading.Thread), (C, threading.Timer), (C, pool.submit), (C, pool.map), (C, asyncio.to_thread), (C, re.sub),
    (C, re.compile("a").sub), (C, functools.partial(map, acme.fetch)), (C, exec), (C, eval), (C, weakref.finalize),
    (C, contextlib.ExitStack().callback), (C, heapq.nsmallest),
    # markers
    (M, random.random), (M, random.randrange), (M, random.shuffle), (M, random.Random),
    (M, random.SystemRandom().random),
    (M, secrets.token_hex), (M, uuid.uuid1), (M, uuid.uuid4), (M, os.urandom), (M, os.getpid), (M, time.time),
    (M, time.monotonic), (M, time.strftime), (M, datetime.datetime.now), (M, datetime.datetime.utcnow), (M, now.now),
    (M, datetime.date.today), (M, platform.node), (M, socket.gethostname), (M, pathlib.Path.cwd), (M, path.absolute),
    (M, functools.partial(time.time)),
    # everything else
    (A, requests.get), (A, requests.Session), (A, requests.Session().get), (A, UserSession().get), (A, acme.fetch),
    (A, acme.Client), (A, acme.Client().get), (A, acme.Client.make), (A, acme.Client()), (A, acme.connection),
    (A, acme.Mapping().get), (A, functools.partial(acme.fetch)), (A, functools.lru_cache(acme.fetch)),
    (A, by_library(acme.fetch)), (A, open), (A, input), (A, os.listdir), (A, os.stat), (A, os.path.exists),
    (A, os.path.realpath), (A, path.exists), (A, path.read_text), (A, UserPath("a").exists), (A, subprocess.run),
    (A, socket.create_connection), (A, sqlite3.connect), (A, shutil.copy), (A, tempfile.mkdtemp), (A, time.sleep),
    (A, urllib.request.urlopen), (A, asyncio.open_connection), (A, sys.__stdout__.write),
    (A, types.MethodType(acme.fetch, UserClass())), (A, concurrent.futures.ProcessPoolExecutor.submit),
]  # fmt: skip


def without_address(value):
    """A test's id must be the same in every process."""
    return value.name if isinstance(value, Verdict) else re.sub(r" at 0x\w+", "", repr(value))[:60]


@pytest.mark.parametrize(("expected", "f"), TABLE, ids=without_address)
def test_table(policy, expected, f):
    assert policy.verdict(f) is expected, policy.explain(f)
    assert policy.verdict(f) is expected  # from the cache, where there is one
    assert policy.explain(f).startswith(policy.name(f))


NAMES = [
    ("requests.api.get", requests.get),
    ("requests.sessions.Session", requests.Session),
    ("requests.sessions.Session.get", requests.Session().get),
    ("requests.sessions.Session.get", UserSession().get),
    ("requests.sessions.Session.get", requests.Session.get),
    ("requests.api.get", functools.partial(functools.partial(requests.get, 1), 2)),
    ("random.randrange", random.randrange),
    ("random.random", random.random),
    ("random.Random.random", dice.random),
    ("datetime.datetime.now", datetime.datetime.now),
    ("builtins.open", open),
    ("builtins.len", len),
    ("builtins.str.join", "".join),
    ("sqlite3.connect", sqlite3.connect),
    ("os.path.exists", os.path.exists),
    ("os.stat", os.stat),
    ("acme.Client.__call__", acme.Client()),
    ("acme.Client.make", acme.Client.make),
    (f"{__name__}.user_function", user_function),
    (f"{__name__}.UserClass.method", UserClass().method),
    ("builtins.list", list[int]),
]


@pytest.mark.parametrize(("name", "f"), NAMES, ids=[name for name, _ in NAMES])
def test_name(policy, name, f):
    assert policy.name(f) == name


# ---------------------------------------------------------------- what the user says


def test_marks_win_over_everything(policy):
    @perdure.activity
    def marked(): ...

    @perdure.activity(retry=3)
    def with_options(): ...

    @perdure.no_activity
    class Quiet(acme.Client): ...

    @perdure.activity
    class Loud: ...

    class Half:
        @perdure.activity
        def method(self): ...

        @perdure.activity
        @classmethod
        def of_class(cls): ...

    assert [policy.verdict(f) for f in (marked, with_options, Loud, Half().method, Half.of_class)] == [A] * 5
    assert [policy.verdict(f) for f in (Quiet, Quiet().get, Half)] == [D] * 3


def test_functions_of_the_same_code_have_marks_of_their_own(policy):
    def make_one():
        def f(): ...

        return f

    plain, marked = make_one(), perdure.activity(make_one())
    assert policy.verdict(plain) is D
    assert policy.verdict(marked) is A
    assert policy.verdict(make_one()) is D


@pytest.mark.parametrize("thing", [acme.fetch, acme, "acme.*", "acme.fetch"])
def test_registered_things_run_directly(policy, thing):
    assert policy.verdict(acme.fetch) is A
    perdure.register_no_activity(thing)
    assert policy.verdict(acme.fetch) is D
    assert "no_activity" in policy.explain(acme.fetch)


def test_a_registered_class_covers_its_methods_and_its_code_mates_nothing(policy):
    perdure.register_no_activity(acme.Client)
    assert policy.verdict(acme.Client) is D
    assert policy.verdict(acme.Client().get) is D
    assert policy.verdict(acme.fetch) is A


def test_patterns_of_the_manifest():
    policy = make(no_activity=("acme.Client*",), force=("json.dumps", f"{__name__}.user_*"))
    assert [policy.verdict(f) for f in (acme.Client, acme.Client().get, acme.fetch)] == [D, D, A]
    assert [policy.verdict(f) for f in (json.dumps, json.loads, user_function)] == [A, D, A]


# ---------------------------------------------------------------- it runs no user code and keeps nothing alive


class Hostile(type):
    """A metaclass all of whose hooks are traps."""

    def __getattribute__(cls, name):
        raise AssertionError(f"asked a class for {name}")

    def __eq__(cls, other):
        raise AssertionError("compared a class")

    def __hash__(cls):
        raise AssertionError("hashed a class")

    def __instancecheck__(cls, instance):
        raise AssertionError("isinstance")

    __subclasscheck__ = __instancecheck__


def test_it_runs_no_user_code(policy):
    def trap(self, *args):
        raise AssertionError("asked an object")

    namespace = dict.fromkeys(["__getattribute__", "__eq__", "__hash__", "__bool__", "__call__"], trap)
    namespace["method"] = user_function
    cls = Hostile("Trap", (), namespace | {"__class__": property(trap)})
    instance = object.__new__(cls)
    for f in (cls, instance, types.MethodType(user_function, instance), types.MethodType(acme.fetch, instance)):
        for policy_ in (policy, make(force=("x",), no_activity=("y",))):
            policy_.verdict(f)
            policy_.verdict(f)
            policy_.explain(f)


def test_it_keeps_no_function_class_or_instance_alive(policy):
    def references():
        def closure(): ...

        class Local:
            def method(self): ...

            def __call__(self): ...

        instance = Local()
        for f in (closure, Local, instance, instance.method, functools.partial(closure), lambda: closure):
            policy.verdict(f)
            policy.name(f)
            policy.explain(f)
        return [weakref.ref(closure), weakref.ref(Local), weakref.ref(instance)]

    dead = references()
    gc.collect()
    assert [ref() for ref in dead] == [None] * 3


def test_classes_at_a_reused_address_are_told_apart(policy):
    for i in range(2000):
        user = i % 2 == 0
        cls = type("C", (), {"__module__": __name__ if user else "acme"})
        assert policy.verdict(cls) is (D if user else A)
        del cls


def test_endless_wrapping_ends():
    def f(): ...

    loop = library("loop", "def g(): ...").g
    loop.__wrapped__ = loop
    assert make().verdict(loop) is A


def test_the_mark_is_the_sdks():
    assert MARK in perdure.activity(lambda: 1).__dict__


def test_what_is_decided_beforehand_is_what_would_be_decided():
    patterned = make(no_activity=("nothing",))  # it shares no decisions
    for o in ("", b"", 1, 1.0, [], (), {}, set(), frozenset(), re.compile("a"), re.match("a", "a")):
        for name in dir(o):
            f = getattr(o, name)
            if type(f) is types.BuiltinFunctionType:
                assert make().verdict(f) is patterned.verdict(f) is patterned._decide(f).verdict, f


def test_the_interpreter_s_frozen_modules_are_decided_about_once(policy):
    for f in (os.getenv, os.path.join, os.environ.get.__func__):
        assert policy.verdict(f) is Verdict.DIRECT
        assert policy.is_direct_code(f.__code__)


def test_what_was_made_in_memory_is_not_kept_alive(policy):
    names = {"__name__": "os"}
    exec(compile("def f():\n    pass\n", "<string>", "exec"), names)
    policy.verdict(names["f"])
    assert not policy.is_direct_code(names["f"].__code__)
