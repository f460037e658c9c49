"""What every call in a project's source is, said without running any of the project's code."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from perdure_runner.child.policy.explaining import Explainer

SHOP = """\
import perdure
import sqlite3 as sql

raise SystemExit("nobody may run this file")

@perdure.activity(name="bought")
def buy(x):
    return sql.connect(x)

@perdure.activity
def pay(): ...

class Base:
    def inherited(self): ...

class Cart(Base):
    def __init__(self):
        self.rows = []

    def add(self, x):
        self.check(x)
        self.inherited()
        self.rows.append(x)

    def check(self, x): ...

    @perdure.no_activity
    def free(self): ...
"""
MAIN = """\
import asyncio, json, random, socket, threading, time
import perdure
import shop
from shop import Cart, buy as purchase
from datetime import datetime

LINK = socket.create_connection(("localhost", 1))
thread = threading.Thread(target=print)

def main(event, callback):
    purchase(1)
    shop.pay()
    cart = Cart()
    cart.add(2)
    cart.free()
    time.sleep(3)
    perdure.next_signal("x")
    random.choice([1, 2])
    datetime.now()
    LINK.send(b"x")
    callback(1)
    sorted([3], key=len)
    "x".join([])
    (lambda: 1)()
    event = json.loads(event)
    event.get("x")
    open("f")
    undefined_name()
"""
EXPECTED = {
    "socket.create_connection(": ("socket.create_connection", "activity"),
    "threading.Thread(": ("threading.Thread", "callbacks"),
    "purchase(": ("bought", "activity"),
    "shop.pay(": ("shop.pay", "activity"),
    "Cart(": ("shop.Cart", "direct"),
    "cart.add(": ("shop.Cart.add", "direct"),
    "cart.free(": ("shop.Cart.free", "direct"),
    "time.sleep(": ("time.sleep", "system"),
    "perdure.next_signal(": ("perdure.next_signal", "system"),
    "random.choice(": ("random.choice", "marker"),
    "datetime.now(": ("datetime.datetime.now", "marker"),
    "LINK.send(": ("LINK.send", "unresolved"),
    "callback(": ("callback", "unresolved"),
    "sorted(": ("builtins.sorted", "callbacks"),
    '"x".join(': ("builtins.str.join", "direct"),
    "(lambda": ("<lambda>", "direct"),
    "json.loads(": ("json.loads", "direct"),
    "event.get(": ("event.get", "unresolved"),
    "open(": ("builtins.open", "activity"),
    "undefined_name(": ("undefined_name", "unresolved"),
}


@pytest.fixture(name="explainer")
def explainer_fixture(tmp_path: Path) -> Explainer:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "no_python.py").write_text("def (")
    return Explainer(str(tmp_path))


def test_every_call_is_what_the_policy_would_say(explainer: Explainer) -> None:
    found = list(explainer.sites("main.py"))
    said = {start: (s.function, s.what) for start in EXPECTED for s in found if s.call.startswith(start)}
    assert said == EXPECTED
    assert len(found) == len(EXPECTED)


def test_reasons_name_the_place_or_the_table(explainer: Explainer) -> None:
    why = {site.function: site.why for site in explainer.sites("main.py")}
    assert why["bought"] == "is marked @perdure.activity (shop.py:7)"
    assert "shop.py:20" in why["shop.Cart.add"]
    assert "table entry 'random'" in why["random.choice"]
    assert "what the caller hands over" in why["callback"]


def test_calls_inside_an_activity_are_a_part_of_it(explainer: Explainer) -> None:
    (connect,) = [site for site in explainer.sites("shop.py") if "connect" in site.call]
    assert (connect.what, connect.why) == ("direct", "is a part of the activity bought, which is recorded as a whole")


def test_methods_are_found_through_self_and_bases(explainer: Explainer) -> None:
    said = {site.call: site.function for site in explainer.sites("shop.py")}
    assert said["self.check(x)"] == "shop.Cart.check"
    assert said["self.inherited()"] == "shop.Base.inherited"


def test_calls_made_while_the_module_loads_are_marked_so(explainer: Explainer) -> None:
    assert [s.function for s in explainer.sites("main.py") if s.loading] == [
        "socket.create_connection",
        "threading.Thread",
    ]


def test_one_line_and_a_call_over_several(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import json\nx = json.dumps(\n    [],\n    indent=len('a'),\n)\n")
    explainer = Explainer(str(tmp_path))
    assert [site.function for site in explainer.sites("main.py", 3)] == ["json.dumps"]
    assert [site.function for site in explainer.sites("main.py", 4)] == ["builtins.len"]
    assert (next(explainer.sites("main.py", 2)).line, next(explainer.sites("main.py", 2)).column) == (2, 5)


def test_files_that_are_no_python_have_no_calls(explainer: Explainer) -> None:
    assert list(explainer.sites("no_python.py")) == []
    assert list(explainer.sites("missing.py")) == []


def test_patterns_of_the_manifest_count(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "shop.py").write_text(SHOP)
    said = {s.function: s.what for s in Explainer(str(tmp_path), ["socket.*", "shop.pay"]).sites("main.py")}
    assert (said["socket.create_connection"], said["shop.pay"], said["bought"]) == ("direct", "direct", "activity")


CASES = {
    "rebound": ("import json\njson = 1\njson.dumps(2)", "unresolved"),
    "relative": ("from .sub import f\nf()", "direct"),
    "package": ("import pack.sub\npack.sub.f()", "direct"),
    "with": ("with open('x') as f:\n    f.read()", "unresolved"),
    "comprehension": ("[len(x) for x in []]", "direct"),
    "default": ("def f(x=len('a')): ...", "direct"),
    "decorator": ("import functools\n@functools.wraps(len)\ndef f(): ...", "direct"),
    "missing library": ("import no_such_library_at_all\nno_such_library_at_all.f()", "unresolved"),
    "chained": ("''.strip().upper()", "unresolved"),
    "walrus": ("if (f := len)([]): ...", "unresolved"),
}


@pytest.mark.parametrize("name", CASES)
def test_forms_of_names(name: str, tmp_path: Path) -> None:
    code, what = CASES[name]
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "sub.py").write_text("def f(): ...\n")
    file = "pack/main.py" if name == "relative" else "main.py"
    (tmp_path / file).write_text(textwrap.dedent(code))
    found = list(Explainer(str(tmp_path)).sites(file))
    assert found[0 if name == "chained" else -1].what == what
