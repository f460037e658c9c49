"""External callables that reach their calls by another way than a call expression in user code."""

# ruff: noqa: E501 - programs stay as their users would write them
from matrix.probe import Probe

PROBES = [
    Probe(
        "map_and_filter",
        """
import itertools, outside
def main(url):
    urls = [url + "/a", url + "/long"]
    pairs = itertools.starmap(outside.add, [(url + "/+", "x", "y")])
    return [list(map(outside.get, urls)), len(list(filter(outside.is_long, urls))), list(pairs)]
""",
        [["a", "long"], 1, ["x+y"]],
        "outside.get*2 outside.is_long*2 outside.add",
    ),
    Probe(
        "bound_external_methods",
        """
import abroad
def main(url):
    caller = abroad.Caller(url)
    get = caller.get
    return [get("a"), list(map(caller.get, ["b", "c"])), sorted(["yy", "x"], key=caller.get), [f("d") for f in (caller.get,)]]
""",
        ["a", ["b", "c"], ["x", "yy"], ["d"]],
        "abroad.Caller abroad.Caller.get*6",
    ),
    Probe(
        "keys",
        """
import bisect, heapq, itertools, outside
def main(url):
    urls = [url + "/ccc", url + "/a"]
    name = lambda u: u.rpartition("/")[2]
    names = list(map(name, sorted(urls, key=outside.length)))
    urls.sort(key=outside.length)
    groups = [k for k, _ in itertools.groupby(urls, key=outside.length)]
    return [names, name(min(urls, key=outside.length)), name(heapq.nlargest(1, urls, key=outside.length)[0]), groups]
""",
        [["a", "ccc"], "a", "ccc", [1, 3]],
        "outside.length*10",
    ),
    Probe(
        "partials",
        """
import functools, outside
def main(url):
    get = functools.partial(outside.get, url + "/a")
    add = functools.partial(functools.partial(outside.add, url + "/-"), "x")
    class Box:
        get = functools.partialmethod(lambda self, n: outside.get(url + n), "/m")
        fetch = functools.partial(outside.get, url + "/f")
    return [get(), add("y"), Box().get(), Box.fetch(), [f() for f in [get]], list(map(functools.partial(outside.add, url + "/+", "l"), ["r"]))]
""",
        ["a", "x-y", "m", "f", ["a"], ["l+r"]],
        "outside.get outside.add outside.get*3 outside.add",
    ),
    Probe(
        "partial_handed_to_a_user_function",
        """
import functools, outside
def main(url):
    def apply(f, *a): return f(*a)
    def later(f=functools.partial(outside.get, url + "/d")): return f()
    return [apply(functools.partial(outside.get, url + "/a")), apply(outside.get, url + "/b"), later()]
""",
        ["a", "b", "d"],
        "outside.get*3",
    ),
    Probe(
        "callable_instances",
        """
import abroad
def main(url):
    caller = abroad.Caller(url)
    table = {"c": caller}
    return [caller("a"), list(map(caller, ["b"])), table["c"]("d"), caller.__call__("e")]
""",
        ["a", ["b"], "d", "e"],
        "abroad.Caller abroad.Caller.__call__*4",
    ),
    Probe(
        "callable_handle",
        """
import abroad
def main(url):
    shelf = abroad.Shelf(url)
    return [shelf("a"), [shelf(n) for n in ("b", "c")]]
""",
        ["call-a", ["call-b", "call-c"]],
    ),
    Probe(
        "timer",
        """
import threading, outside
def main(url):
    seen = []
    t = threading.Timer(0.01, lambda: seen.append(outside.get(url + "/t")))
    t.start(); t.join()
    return seen
""",
        ["t"],
        asks=1,
    ),
    Probe(
        "timer_of_an_external_function",
        """
import threading, outside
def main(url):
    t = threading.Timer(0.01, outside.get, [url + "/t"])
    t.start(); t.join()
    return outside.get(url + "/a")
""",
        "a",
        asks=2,
    ),
    Probe(
        "reduce_and_iter",
        """
import functools, itertools, outside
def main(url):
    answers = iter(lambda: outside.get(url + "/stop"), "stop")
    add = functools.partial(outside.add, url + "/-")
    return [list(answers), functools.reduce(add, "abc"), list(itertools.accumulate("abc", add))[-1]]
""",
        [[], "a-b-c", "a-b-c"],
        "outside.get outside.add*4",
    ),
    Probe(
        "regular_expressions",
        """
import re, abroad
def main(url):
    caller = abroad.Caller(url)
    def swap(m): return caller(m.group())
    return [re.sub("[ab]", swap, "abc"), re.compile("b").sub(lambda m: caller("x" + m[0]), "abc")]
""",
        ["abc", "axbc"],
        "abroad.Caller abroad.Caller.__call__*3",
    ),
    Probe(
        "default_factories",
        """
import collections, dataclasses, functools, outside
def main(url):
    found = collections.defaultdict(functools.partial(outside.get, url + "/d"))
    @dataclasses.dataclass
    class Item:
        value: str = dataclasses.field(default_factory=functools.partial(outside.get, url + "/f"))
    return [found["x"], found["x"], Item().value, Item("given").value]
""",
        ["d", "d", "f", "given"],
        "outside.get*2",
    ),
    Probe(
        "user_functions_in_external_calls",
        """
import abroad, outside
def main(url):
    seen = []
    def note(name): seen.append(name); return name.upper()
    return abroad.each(note, ["a", "b"])
""",
        ["A", "B"],
        "abroad.each",
        asks=0,
    ),
    Probe(
        "properties_made_of_external_functions",
        """
import outside
def main(url):
    class Page:
        url = None
        get = staticmethod(outside.get)
        text = property(lambda self: outside.get(self.url))
    p = Page(); p.url = url + "/a"
    return [p.text, Page.get(url + "/b"), p.get(url + "/c")]
""",
        ["a", "b", "c"],
        "outside.get*3",
    ),
    Probe(
        "external_property_getter",
        """
import outside
def main(url):
    class Page(str):
        text = property(outside.get)
        size = property(outside.length)
    p = Page(url + "/abc")
    return [p.text, p.size]
""",
        ["abc", 3],
        "outside.get outside.length",
    ),
    Probe(
        "external_function_as_a_method",
        """
import outside
class Url(str):
    get = outside.get
    size = outside.length
    __call__ = outside.get
def main(url):
    u = Url(url + "/abc")
    return [u.get(), u.size(), u()]
""",
        ["abc", 3, "abc"],
        "outside.get outside.length outside.get",
    ),
    Probe(
        "rebound_names",
        """
import outside
from . import helper
def main(url):
    seen = [helper.use(url + "/a")]
    helper.get = outside.get
    seen.append(helper.use(url + "/b"))
    setattr(helper, "get", lambda u: outside.get(u) + "!")
    seen.append(helper.use(url + "/c"))
    helper.__dict__["get"] = outside.length
    return seen + [helper.use(url + "/dd")]
""",
        ["own", "b", "c!", 2],
        "outside.get*2 outside.length",
        files={"helper.py": 'def get(u): return "own"\ndef use(u): return get(u)\n'},
    ),
    Probe(
        "rebound_methods",
        """
import types, outside
class Box:
    def get(self, u): return "own"
def main(url):
    def use(b, n): return b.get(url + n)
    a, b = Box(), Box()
    seen = [use(a, "/x")]
    a.get = outside.get
    seen += [use(a, "/a"), use(b, "/x")]
    Box.get = lambda self, u: outside.get(u) + "!"
    seen += [use(b, "/b"), use(a, "/c")]
    setattr(Box, "get", staticmethod(outside.length))
    b.other = types.MethodType(lambda self, u: outside.get(u), b)
    return seen + [use(b, "/dd"), b.other(url + "/e")]
""",
        ["own", "a", "own", "b!", "c", 2, "e"],
        "outside.get*3 outside.length outside.get",
    ),
    Probe(
        "mock_patch",
        """
import unittest.mock, outside
from . import helper
def main(url):
    with unittest.mock.patch.object(helper, "get", outside.get): a = helper.use(url + "/a")
    with unittest.mock.patch(helper.__name__ + ".get", new=lambda u: "lambda"): b = helper.use(url + "/b")
    return [a, b, helper.use(url + "/c")]
""",
        ["a", "lambda", "own"],
        "outside.get",
        files={"helper.py": 'def get(u): return "own"\ndef use(u): return get(u)\n'},
    ),
    Probe(
        "rebound_code",
        """
import outside
def own(u): return "own"
def other(u): return outside.get(u)
def use(u): return own(u)
def main(url):
    seen = [use(url + "/a"), use(url + "/a")]
    own.__code__ = other.__code__
    return seen + [use(url + "/b")]
""",
        ["own", "own", "b"],
        "outside.get",
    ),
    Probe(
        "shadowed_builtins",
        """
import outside
from .own import sorted
def main(url):
    len = outside.length
    def inner(max=outside.get): return max(url + "/m")
    return [len(url + "/bb"), sorted(url + "/a"), inner()]
""",
        [2, "a", "m"],
        "outside.length outside.get*2",
        files={"own.py": "from outside import get as sorted\n"},
    ),
    Probe(
        "signal_handlers",
        """
import os, signal, outside
def main(url):
    seen = []
    def handler(number, frame): seen.append(outside.get(url + "/caught"))
    before = signal.signal(signal.SIGUSR2, handler)
    signal.raise_signal(signal.SIGUSR2)
    seen.append("after")
    signal.signal(signal.SIGUSR2, before)
    return seen
""",
        ["caught", "after"],
        asks=1,
    ),
    Probe(
        "finalizers",
        """
import gc, weakref, outside
def main(url):
    seen = []
    class Held:
        def __del__(self): seen.append(outside.get(url + "/del"))
    class Other: pass
    held = Held()
    del held
    other = Other()
    weakref.finalize(other, lambda: seen.append(outside.get(url + "/final")))
    other = None
    loop = Held(); loop.me = loop; del loop
    gc.collect()
    return seen
""",
        ["del", "final", "del"],
        "outside.get*3",
    ),
    Probe(
        "atexit_functions",
        """
import atexit, outside
def main(url):
    atexit.register(outside.get, url + "/end")
    atexit.register(lambda: None)
    return outside.get(url + "/a")
""",
        "a",
        in_flight=2,
    ),
    Probe(
        "context_variables",
        """
import contextvars, outside
def main(url):
    var = contextvars.ContextVar("v", default="/d")
    def work(): return outside.get(url + var.get())
    var.set("/set")
    inner = contextvars.copy_context()
    return [inner.run(work), inner.run(outside.get, url + "/direct"), work()]
""",
        ["set", "direct", "set"],
        "outside.get*3",
    ),
    Probe(
        "operator_callers",
        """
import operator, abroad, outside
def main(url):
    caller = abroad.Caller(url)
    class Own:
        def get(self, n): return outside.get(url + "/" + n)
    own = operator.methodcaller("get", "own")(Own())
    there = operator.methodcaller("get", "ext")(caller)
    return [own, there, list(map(operator.methodcaller("get", "m"), [caller])), operator.call(outside.get, url + "/c") if hasattr(operator, "call") else "c"]
""",
        ["own", "ext", ["m"], "c"],
        "abroad.Caller outside.get abroad.Caller.get*2 outside.get",
    ),
]
