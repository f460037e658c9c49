"""Functions, classes, generators, coroutines: what user code defines is looked into, and runs as always."""

# ruff: noqa: E501 - programs stay as their users would write them
from matrix.probe import Probe

PROBES = [
    Probe(
        "decorators",
        """
import functools, outside
def twice(f):
    @functools.wraps(f)
    def call(*args): return f(*args) + f(*args)
    return call
def named(prefix):
    def decorate(f): return lambda name: prefix + f(name)
    return decorate
def main(url):
    @named("p")
    @twice
    def get(name): return outside.get(url + name)
    return [get("/a"), get("/b")]
""",
        ["paa", "pbb"],
        "outside.get*4",
    ),
    Probe(
        "external_decorator",
        """
import abroad, outside
@abroad.retried
def get(url): return outside.get(url)
def main(url):
    return get(url + "/a") + get(url + "/b")
""",
        "ab",
        "abroad.retried.<locals>.call*2",
    ),
    Probe(
        "decorator_expressions",
        """
import functools, outside
registry = {}
def main(url):
    def register(name): return lambda f: registry.setdefault(name, f)
    @register(outside.get(url + "/key"))
    def f(): return 1
    @(lambda f: f())
    def value(): return outside.get(url + "/v")
    @[functools.cache][0]
    def g(n): return outside.get(url + n)
    return [list(registry), value, g("/a"), g("/a")]
""",
        [["key"], "v", "a", "a"],
        "outside.get*3",
    ),
    Probe(
        "class_bodies",
        """
import outside
def main(url):
    class Config:
        kind = outside.get(url + "/kind")
        names = [outside.get(url + n) for n in ("/a", "/b")]
        def method(self, default=outside.get(url + "/default")): return self.kind + default
        for i in range(1): late = outside.get(f"{url}/{i}")
    return [Config().method(), Config.names, Config.late]
""",
        ["kinddefault", ["a", "b"], "0"],
        "outside.get*5",
    ),
    Probe(
        "super_without_arguments",
        """
import outside
class Base:
    def __init__(self, url): self.url = url
    def get(self, n): return outside.get(self.url + n)
    @classmethod
    def make(cls, url): return cls(url)
class Derived(Base):
    def __init__(self, url): super().__init__(url); self.seen = super().get("/init")
    def get(self, n): return "<" + super().get(n) + __class__.__name__ + ">"
    @classmethod
    def make(cls, url): return super().make(url)
def main(url):
    d = Derived.make(url)
    return [d.seen, d.get("/a"), super(Derived, d).get("/b")]
""",
        ["init", "<aDerived>", "b"],
        "outside.get*3",
    ),
    Probe(
        "private_names",
        """
import outside
class Box:
    __url = None
    def __init__(self, url): self.__url = url
    def __get(self, n): return outside.get(self.__url + n)
    def show(self):
        class _Inner:
            def __get(self): return "inner"
            def show(self): return self.__get()
        return [self.__get("/a"), _Inner().show(), [self.__get(n) for n in ("/b",)]]
def main(url): return Box(url).show()
""",
        ["a", "inner", ["b"]],
        "outside.get*2",
    ),
    Probe(
        "descriptors",
        """
import functools, outside
class Remote:
    def __set_name__(self, owner, name): self.name = name
    def __get__(self, obj, cls=None): return self if obj is None else outside.get(f"{obj.url}/{self.name}")
    def __set__(self, obj, value): outside.post(f"{obj.url}/{self.name}", value)
class Page:
    title = Remote()
    def __init__(self, url): self.url = url
    @property
    def body(self): return outside.get(self.url + "/body")
    @functools.cached_property
    def tail(self): return outside.get(self.url + "/tail")
    def __getattr__(self, name): return outside.get(f"{self.url}/missing-{name}")
def main(url):
    p = Page(url)
    p.title = "new"
    return [p.title, p.body, p.tail, p.tail, p.other, getattr(p, "more")]
""",
        ["title", "body", "tail", "tail", "missing-other", "missing-more"],
        "outside.post outside.get*5",
    ),
    Probe(
        "metaclasses",
        """
import abc, outside
class Meta(type):
    def __new__(mcls, name, bases, ns, **kw):
        ns["made"] = outside.get(kw["url"] + "/" + name)
        return super().__new__(mcls, name, bases, ns)
    def __init__(cls, name, bases, ns, **kw): super().__init__(name, bases, ns)
    def __call__(cls, *a): return [outside.get(a[0] + "/call"), super().__call__(*a)]
def main(url):
    class A(metaclass=Meta, url=url):
        def __init__(self, u): self.u = u
    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self): ...
    class Square(Shape):
        def area(self): return outside.get(url + "/area")
    called, made = A(url)
    return [A.made, called, made.u == url, Square().area(), type(made).__name__]
""",
        ["A", "call", True, "area", "A"],
        "outside.get*3",
    ),
    Probe(
        "dataclasses",
        """
import dataclasses, outside
@dataclasses.dataclass(order=True)
class Item:
    url: str
    name: str = "a"
    tags: list = dataclasses.field(default_factory=list)
    text: str = dataclasses.field(init=False, compare=False)
    def __post_init__(self): self.text = outside.get(f"{self.url}/{self.name}")
def main(url):
    a, b = Item(url), Item(url, "b", ["t"])
    c = dataclasses.replace(a, name="c")
    return [a.text, b.tags, c.text, a < b, dataclasses.asdict(b)["text"], a == Item(url)]
""",
        ["a", ["t"], "c", True, "b", True],
        "outside.get*4",
    ),
    Probe(
        "enums_and_named_tuples",
        """
import collections, enum, outside, typing
def main(url):
    class Colour(enum.Enum):
        RED = outside.get(url + "/red")
        @property
        def loud(self): return self.value + outside.get(url + "/!")
    class Pair(typing.NamedTuple):
        left: str
        def both(self): return self.left + outside.get(url + "/r")
    Point = collections.namedtuple("Point", "x y")
    return [Colour.RED.loud, Colour("red").name, Pair("l").both(), Point(1, y=2)._replace(x=3).x]
""",
        ["red!", "RED", "lr", 3],
        "outside.get*3",
    ),
    Probe(
        "operators_of_user_classes",
        """
import outside
class Num:
    def __init__(self, url, v): self.url, self.v = url, v
    def __add__(self, o): return Num(self.url, self.v + len(outside.get(self.url + "/add")))
    def __len__(self): return len(outside.get(self.url + "/len"))
    def __getitem__(self, k): return outside.get(f"{self.url}/{k}")
    def __contains__(self, k): return outside.get(self.url + "/in") == k
    def __eq__(self, o): return outside.get(self.url + "/eq") == o
    def __bool__(self): return outside.get(self.url + "/t") == "t"
    def __format__(self, s): return outside.get(self.url + "/f" + s)
    def __call__(self, n): return outside.get(self.url + n)
def main(url):
    n = Num(url, 1)
    return [(n + n).v, len(n), n["k"], "in" in n, n == "eq", bool(n), f"{n:x}", n("/c"), 1 if n else 0]
""",
        [4, 3, "k", True, True, True, "fx", "c", 1],
        "outside.get*9",
    ),
    Probe(
        "comprehensions",
        """
import outside
def main(url):
    get = lambda n: outside.get(f"{url}/{n}")
    ns = ["a", "b"]
    return [
        [get(n) for n in ns if get(n) != "b"], sorted({get(n) for n in ns}), {get(n): get(n + "v") for n in ns},
        list(get(n) for n in ns), [[get(m + n) for m in ns] for n in ns], [x for n in ns for x in get(n)],
    ]
""",
        [["a"], ["a", "b"], {"a": "av", "b": "bv"}, ["a", "b"], [["aa", "ba"], ["ab", "bb"]], ["a", "b"]],
        "outside.get*17",
    ),
    Probe(
        "generators",
        """
import outside
def main(url):
    def walk(n):
        try:
            for i in range(n):
                got = yield outside.get(f"{url}/{i}")
                if got: yield outside.get(f"{url}/sent-{got}")
        finally:
            outside.get(url + "/closed")
        return "done"
    def outer(): result = yield from walk(1); yield result
    g = walk(3)
    out = [next(g), g.send("x"), next(g)]
    g.close()
    return [out, list(outer())]
""",
        [["0", "sent-x", "1"], ["0", "done"]],
        "outside.get*6",
    ),
    Probe(
        "generator_throw",
        """
import outside
def main(url):
    def g():
        while True:
            try: yield outside.get(url + "/a")
            except ValueError as e: yield outside.get(f"{url}/{e}")
    it = g()
    return [next(it), it.throw(ValueError("v")), next(it)]
""",
        ["a", "v", "a"],
        "outside.get*3",
    ),
    Probe(
        "coroutines",
        """
import asyncio, outside
async def get(url): await asyncio.sleep(0); return await outside.aget(url)
async def main(url):
    stored = outside.aget(url + "/stored")
    first = await get(url + "/a")
    return [first, await stored, [await get(url + n) for n in ("/b", "/c")]]
""",
        ["a", "stored", ["b", "c"]],
    ),
    Probe(
        "asynchronous_generators",
        """
import contextlib, outside
async def main(url):
    async def walk(n):
        for i in range(n): yield await outside.aget(f"{url}/{i}")
    @contextlib.asynccontextmanager
    async def held():
        yield await outside.aget(url + "/in")
        await outside.aget(url + "/out")
    async with held() as h:
        return [h, [x async for x in walk(2)], {x: 1 async for x in walk(1)}]
""",
        ["in", ["0", "1"], {"0": 1}],
        "outside.aget*5",
    ),
    Probe(
        "coroutine_run_in_handler",
        """
import asyncio, outside
def main(url):
    async def work(): return await outside.aget(url + "/a") + outside.get(url + "/b")
    return [asyncio.run(work()), outside.get(url + "/c"), asyncio.run(work())]
""",
        ["ab", "c", "ab"],
        "outside.aget outside.get*2 outside.aget outside.get",
    ),
    Probe(
        "context_managers",
        """
import contextlib, outside
def main(url):
    seen = []
    class Held:
        def __enter__(self): seen.append(outside.get(url + "/in")); return self
        def __exit__(self, *e): seen.append(outside.get(url + "/out")); return e[0] is KeyError
    @contextlib.contextmanager
    def made():
        try: yield outside.get(url + "/m")
        finally: seen.append(outside.get(url + "/f"))
    with Held() as h, made() as m: seen.append(m)
    with Held(): raise KeyError
    with contextlib.suppress(ValueError): raise ValueError(outside.get(url + "/v"))
    with contextlib.ExitStack() as stack: stack.callback(seen.append, "cb"); stack.enter_context(made())
    return seen
""",
        ["in", "m", "f", "out", "in", "out", "f", "cb"],
        "outside.get*9",
    ),
    Probe(
        "match_statements",
        """
import outside
class Point:
    __match_args__ = ("x", "y")
    def __init__(self, x, y): self.x, self.y = x, y
def main(url):
    def kind(v):
        match v:
            case Point(x=0, y=0): return "origin"
            case Point(a, b) if outside.get(f"{url}/{a}") == "1": return f"point {b}"
            case {"k": str(s), **rest}: return outside.get(url + "/" + s) + str(len(rest))
            case [int(n), *_] | (n, _): return n
            case str() | bytes(): return "text"
            case _: return "other"
    match outside.get(url + "/subject"):
        case "subject" as s: first = s
    return [first, *map(kind, (Point(0, 0), Point(1, 2), {"k": "v", "z": 1}, [3], "s", 4.0))]
""",
        ["subject", "origin", "point 2", "v1", 3, "text", "other"],
        "outside.get*3",
    ),
    Probe(
        "match_of_external_class",
        """
import fractions, outside, requests
def main(url):
    def kind(v):
        match v:
            case fractions.Fraction(numerator=n, denominator=d): return [n, d]
            case outside.OutsideError(status=s): return s
            case requests.Request(): return "request"
        return None
    return [kind(fractions.Fraction(2, 4)), kind(outside.OutsideError(404, "x")), kind(3)]
""",
        [[1, 2], 404, None],
        "",
    ),
    Probe(
        "closures_and_nonlocal",
        """
import outside
count = 0
def main(url):
    global count
    total = ""
    def add(n):
        nonlocal total
        global count
        count += 1
        total += outside.get(url + n)
        return add
    add("/a")("/b")("/c")
    return [total, count]
""",
        ["abc", 3],
        "outside.get*3",
    ),
    Probe(
        "recursion",
        """
import outside
def main(url):
    def walk(n): return "" if n == 0 else outside.get(f"{url}/{n}") + walk(n - 1)
    return walk(5)
""",
        "54321",
        "outside.get*5",
    ),
    Probe(
        "locals_and_frames",
        """
import inspect, outside, sys, warnings
def main(url):
    a = outside.get(url + "/a")
    b = sorted(locals())
    def who(): return sys._getframe(1).f_code.co_name, inspect.stack()[1].function
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("w")
    return [b, list(who()), caught[0].lineno, [n for n in main.__code__.co_names if "perdure" in n], main.__code__.co_varnames[0]]
""",
        [["a", "url"], ["main", "main"], 8, [], "url"],
        "outside.get",
    ),
    Probe(
        "typing_constructs",
        """
from __future__ import annotations
import typing, outside
T = typing.TypeVar("T")
class Box(typing.Generic[T]):
    item: T
    def __init__(self, item: T) -> None: self.item = item
class Movie(typing.TypedDict): name: str
class Has(typing.Protocol):
    def get(self) -> str: ...
@typing.overload
def f(x: int) -> int: ...
@typing.overload
def f(x: str) -> str: ...
def f(x): return x
def main(url):
    name: str = outside.get(url + "/a")
    return [Box[str](name).item, Movie(name=name), typing.cast("str", f(name)), list(typing.get_type_hints(Movie))]
""",
        ["a", {"name": "a"}, "a", ["name"]],
        "outside.get",
    ),
    Probe(
        "pep_695",
        """
import outside
type Pair[T] = tuple[T, T]
def first[T](p: Pair[T]) -> T: return p[0]
class Box[T: (str, bytes)]:
    def __init__(self, item: T): self.item = item
    def get[U](self, f: U) -> U: return outside.get(self.item)
def main(url):
    class Local[T](Box[T]): made = outside.get(url + "/body")
    return [first((outside.get(url + "/a"), "b")), Local[str](url + "/c").get(1), Local.made, Pair.__name__]
""",
        ["a", "c", "body", "Pair"],
        "outside.get*3",
        since=(3, 12),
    ),
    Probe(
        "type_parameter_defaults",
        """
import outside
def main(url):
    class Box[T = str]: made = outside.get(url + "/a")
    return [Box.made, Box.__type_params__[0].__name__]
""",
        ["a", "T"],
        "outside.get",
        since=(3, 13),
    ),
    Probe(
        "functions_built_by_hand",
        """
import functools, types, outside
def main(url):
    def template(name): return outside.get(url + name)
    copy = types.FunctionType(template.__code__, globals(), "copy", None, template.__closure__)
    class Late: pass
    Late.get = template.__get__(object())  if False else (lambda self, n: template(n))
    made = type("Made", (Late,), {"show": lambda self: self.get("/made")})
    bound = types.MethodType(lambda self, n: template(n), made())
    part = functools.partialmethod(lambda self, n: template(n), "/pm")
    Late.pm = part
    return [copy("/c"), Late().get("/l"), made().show(), bound("/b"), Late().pm()]
""",
        ["c", "l", "made", "b", "pm"],
        "outside.get*5",
    ),
    Probe(
        "single_dispatch",
        """
import functools, outside
def main(url):
    @functools.singledispatch
    def show(v): return outside.get(url + "/any")
    @show.register
    def _(v: int): return outside.get(url + "/int")
    class P:
        @functools.singledispatchmethod
        def on(self, v): return outside.get(url + "/m")
        @on.register(str)
        def _(self, v): return outside.get(url + "/str")
    return [show(1), show("x"), P().on("s"), P().on(1)]
""",
        ["int", "any", "str", "m"],
        "outside.get*4",
    ),
    Probe(
        "same_site_many_callees",
        """
import outside
def main(url):
    def local(u): return "local"
    class C:
        def __call__(self, u): return "object"
        def m(self, u): return outside.get(u)
    out = []
    for f in (len, outside.get, local, C(), C().m, str.upper, outside.get, lambda u: "lambda"):
        out.append(f(url + "/a"))
    return out[1:5] + out[6:]
""",
        ["a", "local", "object", "a", "a", "lambda"],
        "outside.get*3",
    ),
]
