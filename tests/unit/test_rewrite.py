"""The rewriter: what gets a site, that nothing else changes, and that every way of writing source survives."""

import marshal
import sys
import warnings
from types import CodeType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_runner.child.patching import rewrite
from perdure_runner.child.patching.rewrite import Mark, bind, compile_source, mangle


class Log:
    """Sites that note what they are given."""

    def __init__(self):
        self.marks = []
        self.seen = []

    def __call__(self, mark):
        self.marks.append(mark)

        def site(value):
            kind = "class " if mark.kind == "class" else ""
            self.seen.append((kind + (mark.name or getattr(value, "__name__", "?")), mark.line))
            return value

        return site


def run(source, log=None):
    """Execute rewritten source; returns its namespace."""
    data = source if isinstance(source, bytes) else source.encode()
    namespace = {"__name__": "rewritten"}
    exec(bind(compile_source(data, "user.py"), log or Log()), namespace)
    return namespace


def names(source):
    """What sites were asked about, in order."""
    log = Log()
    run(source, log)
    return [name for name, _ in log.seen]


CONSTRUCTS = {
    "call": ("def f(x): return x\nresult = f(1)", ["f"]),
    "nested arguments": ("def f(x): return x\ndef g(x): return x\nresult = f(g(f(1)))", ["f", "g", "f"]),
    "callee is a call": ("def f(x): return lambda y: x + y\nresult = f(1)(2)", ["f", "<lambda>"]),
    "method": ("class A:\n  def m(self, x): return x\nresult = A().m(3)", ["A", "m"]),
    "literal receiver": ("result = 'a'.upper()", []),
    "safe builtin": ("result = len(str(12))", []),
    "safe builtin, bound elsewhere": ("def f():\n  global len\nresult = len('ab')", ["len"]),
    "safe builtin as parameter": ("def f(len): return len('ab')\nresult = f(lambda x: 7)", ["f", "<lambda>"]),
    "star import": ("from math import *\nresult = len('ab')", ["len"]),
    "open is never safe": ("import io\nopen = io.StringIO\nresult = open('x').read()", ["StringIO", "read"]),
    "sorted without key": ("result = sorted([2, 1], reverse=True)", []),
    "sorted with key": ("result = sorted([2, 1], key=abs)", ["sorted"]),
    "sorted with **": ("result = sorted([2, 1], **{})", ["sorted"]),
    "map of a builtin": ("result = list(map(str, [1]))", []),
    "map of a lambda": ("result = list(map(lambda x: x + 1, [1]))", []),
    "map of a name": ("f = str\nresult = list(map(f, [1]))", ["map"]),
    "iter": ("result = next(iter([1]))", []),
    "iter with sentinel": ("f = [1, 2].pop\nresult = list(iter(f, 1))", ["iter"]),
    "lambda": ("result = (lambda x: x)(2)", ["<lambda>"]),
    "comprehensions": (
        "def f(x): return x\nresult = [f(x) for x in (1, 2) if f(x)], {f(3)}, {f(4): f(5)}, list(f(6) for _ in (1,))",
        ["f"] * 8,
    ),
    "f-string": ("def f(x): return x\nresult = f'{f(1)!r:>{f(5)}} {f(2)=}'", ["f"] * 3),
    "decorator": ("def d(f): return f\n@d\ndef f(): return 1\nresult = f()", ["d", "f"]),
    "decorator with arguments": (
        "def d(x):\n  def inner(f): return f\n  return inner\n@d(1)\ndef f(): return 1\nresult = f()",
        ["d", "inner", "f"],
    ),
    "class decorator": ("def d(c): return 4\n@d\nclass A: pass\nresult = A", ["d"]),
    "safe decorator": ("class A:\n  @property\n  def p(self): return 1\nresult = A().p", ["A"]),
    "class body and bases": ("def f(x): return x\nclass A(f(object)):\n  y = f(2)\nresult = A.y", ["f", "f", "class A"]),  # noqa: E501
    "defaults": ("def f(x): return x\ndef g(x=f(1), *, y=f(2)): return x, y\nresult = g()", ["f", "f", "g"]),
    "star arguments": ("def f(*a, **k): return a, k\nresult = f(*[1], 2, **{'b': 3}, c=4)", ["f"]),
    "keywords self and func": ("def f(**k): return k\nresult = f(self=1, func=2, f=3)", ["f"]),
    "walrus": ("def f(x): return x\nresult = (g := f)(1)", ["f"]),
    "conditional callee": ("def f(x): return x\ndef g(x): return -x\nresult = (f if 0 else g)(1)", ["g"]),
    "subscript callee": ("def f(x): return x\nresult = [f][0](1)", ["f"]),
    "chain over lines": (
        "class A:\n  def m(self): return self\nresult = type(\n  A()\n    .m()\n    .m()\n).__name__",
        ["A", "m", "m"],
    ),
    "super": (
        "class A:\n  def m(self): return 1\nclass B(A):\n  def m(self): return super().m() + 1\nresult = B().m()",
        ["class B", "B", "m", "m"],
    ),
    "private name": (
        "class A:\n  def __p(self): return 1\n  def m(self): return self.__p()\nresult = A().m()",
        ["A", "m", "_A__p"],
    ),
    "private name, class of underscores": ("class _:\n  def __p(self): return 1\nresult = _().__p()", ["_", "__p"]),
    "async": (
        """
import asyncio
async def f(x): return x
async def g():
    yield await f(1)
async def main(): return [await f(x) async for x in g()]
result = asyncio.run(main())""",
        ["run", "main", "g", "f", "f"],
    ),
    "generator": (
        """
def f(x): return x
def g():
    yield f(1)
    yield from h()
def h():
    yield f(2)
result = [*g()]""",
        ["g", "f", "h", "f"],
    ),
    "with": ("import contextlib\nwith contextlib.nullcontext(1) as result: pass", ["nullcontext"]),
    "match": (
        "class P:\n  __match_args__ = ('x',)\n  x = 1\ndef f(): return P()\nmatch f():\n  case P(result): pass",
        ["f", "P"],
    ),
    "assert, raise, del, augmented": (
        "def f(x): return x\nd = {1: 2}\nassert f(1), f('no')\ndel d[f(1)]\nresult = 1\nresult += f(2)",
        ["f", "f", "f"],
    ),
    "annotations": ("def f(x): return x\ndef g(x: f(int)) -> f(str): ...\nresult = g.__annotations__", ["f", "f"]),
    "postponed annotations": (
        """from __future__ import annotations
def g(x: f(1)) -> h.m(2): ...
x: f(3) = 1
result = g.__annotations__, __annotations__""",
        [],
    ),
    "locals and dir": (
        "def f(x): return x\ndef g():\n  a = f(1)\n  return sorted(locals()), dir()\nresult = g()",
        ["g", "f"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_each_construct_routes_its_calls_in_order_and_keeps_its_value(construct):
    source, expected = CONSTRUCTS[construct]
    native = {"__name__": "rewritten"}
    exec(source, native)
    log = Log()
    rewritten = run(source, log)
    assert repr(rewritten["result"]) == repr(native["result"])
    assert [name for name, _ in log.seen] == expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of Python 3.12")
def test_type_parameters():
    assert names("def f(x): return x\ndef g[len](x: len): return f(len)\nresult = g(1).__name__") == ["g", "f"]
    assert names("def f(x): return x\ntype T[A] = f(A)\nresult = T.__value__") == ["f"]
    assert names("def f(x): return x\nclass C[T](f(list)): pass\nC()") == ["f", "class C", "C"]


def test_no_name_is_added_and_positions_stay():
    source = b"def f(o, x):\n    return o.m(x)(\n        x.n(1))\n"
    native = _functions(compile(source, "user.py", "exec"))["f"]
    ours = _functions(bind(compile_source(source, "user.py"), Log()))["f"]
    assert (ours.co_names, ours.co_varnames, ours.co_flags) == (native.co_names, native.co_varnames, native.co_flags)
    assert ours.co_consts[0] == native.co_consts[0]  # None, or the docstring
    wanted = set(native.co_positions())
    assert wanted <= set(ours.co_positions())


def _functions(code):
    return {const.co_name: const for const in code.co_consts if isinstance(const, CodeType)}


def test_decorators_are_told_from_calls():
    log = Log()
    run("def d(*a): return lambda f: f\nclass A: d = d\n@d\n@d(d())\n@A().d()\nclass C: ...\n", log)
    assert sorted((m.line, m.kind, m.name) for m in log.marks if m.name is None) == [
        (3, "decorator", None), (4, "call", None), (4, "decorator", None),
        (5, "call", None), (5, "decorator", None),
    ]  # fmt: skip
    assert [(m.kind, m.name) for m in log.marks if m.name] == [("decorator", "d")]


def test_docstrings_survive():
    namespace = run('"""module"""\ndef f():\n  """f"""\nclass A:\n  """A"""\n')
    assert (namespace["__doc__"], namespace["f"].__doc__, namespace["A"].__doc__) == ("module", "f", "A")


def test_lines_of_a_chain_over_several_lines_are_traced_as_natively():
    source = """def f(o):
  return (o
    .m(
      1,
    )
    .m(2)
    .m(
  3))
class A:
  def m(self, x): return self
"""

    def lines(namespace):
        seen = []

        def trace(frame, event, arg):
            if frame.f_code.co_name == "f" and event == "line":
                seen.append(frame.f_lineno)
            return trace

        sys.settrace(trace)
        try:
            namespace["f"](namespace["A"]())
        finally:
            sys.settrace(None)
        return seen

    native = {}
    exec(compile(source, "user.py", "exec"), native)
    identity = {"__name__": "rewritten"}
    exec(bind(compile_source(source.encode(), "user.py"), lambda mark: _IDENTITY), identity)
    assert lines(identity) == lines(native)


class _Identity(dict):
    def __missing__(self, key):
        return key


_IDENTITY = _Identity().__getitem__


def test_marks_name_the_place_of_the_callee():
    log = Log()
    run("x = (str\n  .upper('a')\n).lower()\ndef f(): pass\nif 1: f()\n", log)
    assert sorted(log.marks, key=lambda m: m.line) == [
        Mark("call", "upper", 2, 4),
        Mark("call", "lower", 3, 3),
        Mark("call", None, 5, 7),
    ]


@pytest.mark.parametrize(
    "data",
    [
        "x = 'ä€😀'; y = f(1)".encode(),
        "x = 'ä€😀'; y = f(1)".encode("utf-8-sig"),
        "# coding: latin-1\nx = 'ä€'; y = f(1)".replace("€", "¤").encode("latin-1"),
        b"x = 1\r\ny = f(1)\r\n",
        b"x = 1\ry = f(1)",
        b"x = 1\n\x0c\ny = f(1)",
        "ä = 1; y = f(1)".encode(),
    ],
    ids=["utf-8", "bom", "latin-1", "crlf", "cr", "form feed", "identifier"],
)
def test_every_encoding_and_line_end(data):
    log = Log()
    namespace = run(data.replace(b"f(1)", b"(lambda x: x)(1)"), log)
    assert namespace["y"] == 1
    (mark,) = log.marks
    source = rewrite.decode_source(data)
    line = source.split("\n")[mark.line - 1]
    assert line[mark.column - 1 :].startswith("f(1)") or line[mark.column - 2 :].startswith("f(1)")


def test_a_wrong_encoding_is_a_syntax_error():
    with pytest.raises(SyntaxError):
        compile_source(b"x = '\xff'", "user.py")


def test_the_compilers_own_warnings_come_once_and_no_others():
    source = b"x = 1 is 1\ny = lambda: 'a'(1)\nz = lambda: [1](2)\nw = f'{x}'\nprint\nv = (lambda: 0)()\n"

    def warned(compiler):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            compiler()
        return sorted((str(w.message), w.lineno) for w in caught)

    native = warned(lambda: compile(source, "user.py", "exec"))
    assert len(native) == 3
    assert warned(lambda: compile_source(source, "user.py")) == native


def test_marshalled_code_is_bound_again_under_another_file_name():
    code = marshal.loads(marshal.dumps(compile_source(b"def f():\n  return g(1)\ng = str\nr = f()\n", "/old/user.py")))
    log = Log()
    bound = bind(code, log, "/new/user.py")
    namespace = {}
    exec(bound, namespace)
    assert namespace["r"] == "1"
    assert namespace["f"].__code__.co_filename == bound.co_filename == "/new/user.py"


def test_constants_of_the_user_that_look_like_sentinels_inside_others_stay():
    inner = ("\0perdure.site", "call", None, 1, 1)
    assert run(f"x = ({inner!r}, 1)")["x"] == (inner, 1)
    assert run(f"x = 1 in {{ {inner!r}, 1 }}")["x"] is True


@pytest.mark.parametrize(("source", "count"), [("f" + "(1)" * 400, 400), ("f" + ".m(1)" * 200, 200)])
def test_long_chains(source, count):
    class F:
        def __call__(self, x):
            return self

        m = __call__

    log = Log()
    code = bind(compile_source(f"r = {source}".encode(), "user.py"), log)
    exec(code, {"f": F()})
    assert len(log.seen) == count


def test_long_sums():
    namespace = run("def f(x): return x\nr = " + " + ".join(["f(1)"] * 900))
    assert namespace["r"] == 900


def test_the_recursion_limit_is_put_back_after_an_error():
    before = sys.getrecursionlimit()
    with pytest.raises(SyntaxError):
        compile_source(b"def f(:", "user.py")
    with pytest.raises(SyntaxError):
        compile_source(b"return f(1)", "user.py")
    assert sys.getrecursionlimit() == before


@given(
    st.sampled_from(["A", "_A", "__A", "_", "__", "A_"]), st.sampled_from(["__x", "__x__", "_x", "x", "___x", "__x_"])
)
def test_names_are_mangled_as_the_compiler_does(class_name, name):
    code = compile(f"class {class_name}:\n def f(self): return self.{name}", "", "exec")
    (body,) = (c for c in code.co_consts if isinstance(c, CodeType))
    (function,) = (c for c in body.co_consts if isinstance(c, CodeType))
    assert function.co_names == (mangle(class_name, name),)


# ---------------------------------------------------------------- generated expressions

_TEMPLATES = (
    "f({0})",
    "o.m({0})",
    "o.m({0}).m({1})",
    "f({0}, *[{1}], k={2})",
    "(lambda y: f(y, {0}))({1})",
    "[f(z, {0}) for z in ({1}, {2})]",
    "({0} if f({1}) else {2})",
    "({0}, {1})",
    "h(f)({0})",
    "h(o).m({0})",
    "f'{{f({0})}}'",
)
_expression = st.recursive(
    st.sampled_from(["1", "x", "[1, 2]", "f(x)", "o.m(1)"]),
    lambda inner: st.tuples(st.sampled_from(_TEMPLATES), inner, inner, inner).map(lambda t: t[0].format(*t[1:])),
    max_leaves=9,
).filter(lambda text: text.count("f'") < 2)

_PRELUDE = """
log = []
def f(*a, **k):
    log.append(("f", repr((a, k))))
    return len(a) + len(k)
def h(g):
    log.append("h")
    return g
class O:
    def __getattr__(self, name):
        log.append(name)
        def method(*a):
            log.append((name, repr(a)))
            return self
        return method
    def __repr__(self): return "O"
o, x = O(), 5
"""


@settings(max_examples=150, deadline=None)
@given(_expression)
def test_any_expression_has_the_same_value_and_effects_in_the_same_order(expression):
    source = f"{_PRELUDE}\nresult = {expression}\n"
    native = {"__name__": "rewritten"}
    exec(source, native)
    log = Log()
    ours = run(source, log)
    assert (repr(ours["result"]), ours["log"]) == (repr(native["result"]), native["log"])
    called = sum(entry[0] == "f" for entry in ours["log"])
    assert sum(name == "f" for name, _ in log.seen) == called
