"""Source text that user code runs itself: `compile` gives what it always gives, `exec` and `eval` run it with sites."""

import ast
import gc
import linecache
import sys

import pytest
from perdure_runner.child.patching import strings
from perdure_runner.child.patching.hook import install

OUTSIDE = "def get(x): return x\n"
PROGRAM = """
import ast, outside
SOURCE = "outside.get(1) + outside.get(2)"
def make(*more, **named): return compile(SOURCE, *more, **named)
def run(code): return eval(code, {"outside": outside})
def run_here(code): return eval(code)
def execute(code): space = {"outside": outside}; exec(code, space); return space
def tree(): return ast.parse(SOURCE, mode="eval")
def compiled(tree): return compile(tree, "made", "eval")
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The module, and the names and lines of the calls that were routed."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "texts.py").write_text(PROGRAM)
    (tmp_path / "outside.py").write_text(OUTSIDE)
    routed = []

    class Router:
        def direct(self):
            return False

        def route(self, f, verdict, site):
            routed.append((f.__name__, site.file, site.line))
            return f

    hook = install(str(tmp_path / "build"), None, Router())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "build"))
    try:
        import texts

        yield texts, routed
    finally:
        hook.uninstall()
        sys.modules.pop("texts")
        sys.modules.pop("outside")
        linecache.clearcache()


def test_code_is_what_compile_makes(program):
    texts, _ = program
    assert texts.make("made", "eval") == compile(texts.SOURCE, "made", "eval")
    assert isinstance(texts.make("made", "eval", ast.PyCF_ONLY_AST), ast.Expression)
    texts.SOURCE = "("
    with pytest.raises(SyntaxError):
        texts.make("made", "eval")


def test_running_it_is_seen(program):
    texts, routed = program
    code = texts.make("made", "eval")
    assert [texts.run(code), texts.run(code)] == [3, 3]
    assert routed == [("get", "texts.py", 5)] * 4
    assert texts.run_here(texts.make("made", "eval")) == 3
    assert routed[4:] == [("get", "texts.py", 6)] * 2


def test_source_with_a_file_has_lines_of_its_own(program, tmp_path):
    texts, routed = program
    texts.SOURCE = "\n\n\nx = outside.get(1)\n"
    texts.execute(texts.make(str(tmp_path / "build" / "part.py"), "exec"))
    assert routed == [("get", "part.py", 4)]


def test_a_tree_is_not_changed_and_may_be_changed_later(program):
    texts, routed = program
    tree = texts.tree()
    before = ast.dump(tree)
    code = texts.compiled(tree)
    tree.body = ast.copy_location(ast.Constant(value=0), tree.body)
    assert texts.run(code) == 3
    assert len(routed) == 2
    assert before == ast.dump(texts.tree())


def test_nothing_is_kept_of_code_that_is_gone(program):
    texts, _ = program
    gc.collect()  # of other tests
    before = len(strings._made)
    code = texts.make("made", "eval")
    assert len(strings._made) == before + 1
    del code
    gc.collect()
    assert len(strings._made) == before


def test_future_imports_of_the_caller_are_in_force(program):
    texts, _ = program
    texts.SOURCE = "from __future__ import annotations\ncode = compile('def f(x: unknown): pass', 'm', 'exec')"
    code = texts.execute(texts.make("made", "exec"))["code"]
    assert texts.execute(code)["f"].__annotations__ == {"x": "unknown"}
    texts.SOURCE = "def f(x: unknown): pass"
    with pytest.raises(NameError):  # ours are not
        texts.execute(texts.make("made", "exec"))
