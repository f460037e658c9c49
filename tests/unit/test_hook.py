"""The import hook and the call sites: modules of a build, loaded as an import would, with a router that takes notes."""

import contextlib
import gc
import importlib
import marshal
import os
import pickle
import runpy
import sys
import textwrap
import threading
import traceback
import weakref
from pathlib import Path

import perdure
import pytest
from perdure_runner.child.patching import hook as hook_module
from perdure_runner.child.patching import sites
from perdure_runner.child.patching.hook import CodeCache, UserTree, compile_tree, install
from perdure_runner.child.patching.rewrite import compile_source
from perdure_runner.child.policy.policy import Verdict


class Notes(threading.local):
    """A router that runs everything and remembers what was routed. Threads are inside an activity each by itself."""

    depth = 0

    def __init__(self, hook, routed, sites):
        self.hook = hook  # what threads share
        self.routed = routed
        self.sites = sites

    def direct(self):
        return self.depth > 0

    def route(self, f, verdict, site):
        name = self.hook[0].policy.name(f)
        self.sites.append(site)

        def call(*args, **kwargs):
            self.routed.append(name if verdict is Verdict.ACTIVITY else f"{name} (marker)")
            self.depth += 1
            try:
                return f(*args, **kwargs)
            finally:
                self.depth -= 1

        return call


ACME = """
import contextlib
log = []
def fetch(x=0, *more): log.append(x); return x
def apply(f, *args): return f(*args)
class Client:
    def __init__(self, base=1): self.base = base
    def get(self, x=0): log.append(x); return self.base + x
    @property
    def kids(self): return [self]
def decorate(f): return f
def decorator(*a):
    return lambda f: f
async def afetch(x): return x
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write modules of a build; returns a function that imports one of them through the hook."""
    root, site = tmp_path / "build", tmp_path / "lib"
    root.mkdir()
    site.mkdir()
    (site / "acme.py").write_text(ACME)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    with Project(root) as it:
        yield it
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) is None or str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


class Project(contextlib.ExitStack):
    def __init__(self, root):
        super().__init__()
        self.root = root
        self.notes = Notes([], [], [])
        self.hook = None

    def write(self, files):
        for name, text in files.items():
            path = self.root / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            data = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
            path.write_bytes(data)

    def install(self, cache=None, router=True):
        self.hook = install(str(self.root), cache, self.notes if router else None)
        self.notes.hook.append(self.hook)
        self.callback(self.hook.uninstall)
        importlib.invalidate_caches()
        return self.hook

    def run(self, text, name="user"):
        """Import a module of this text; returns it."""
        self.write({name: text})
        if self.hook is None:
            self.install()
        importlib.invalidate_caches()
        return importlib.import_module(name)


ROUTED = {
    "module-level": ("import acme\nacme.fetch(1)", ["acme.fetch"]),
    "from import": ("from acme import fetch as f\nf(1)", ["acme.fetch"]),
    "nested arguments": (
        "import acme\nacme.fetch(acme.fetch(1), acme.Client().get(2))",
        ["acme.fetch", "acme.Client", "acme.Client.get", "acme.fetch"],
    ),
    "chain over lines": (
        "import acme\nx = (acme\n  .Client(2)\n  .get(3))\nassert x == 5",
        ["acme.Client", "acme.Client.get"],
    ),
    "lambda and comprehensions": (
        "import acme\nf = lambda: acme.fetch()\n[f() for _ in (1, 2)]\n{acme.fetch(x): 1 for x in (1,)}",
        ["acme.fetch"] * 3,
    ),
    "class body and defaults": (
        "import acme\nclass A:\n  x = acme.fetch(1)\n  def f(self, y=acme.fetch(2)): return acme.fetch(3)\nA().f()",
        ["acme.fetch"] * 3,
    ),
    "decorators": (
        "import acme\n@acme.decorate\n@acme.decorator(acme.fetch(1))\ndef f(): ...\nf()",
        ["acme.fetch"],
    ),
    "decorators that are activities": (
        "import acme, perdure\n@perdure.activity\ndef d(f): return 1\n@d\ndef f(): ...\nassert f == 1",
        ["user.d"],
    ),
    "f-string, walrus, star arguments": (
        "import acme\na = (1,)\nf'{acme.fetch(*a)}'\nif (y := acme.fetch(**{'x': 2})): pass",
        ["acme.fetch"] * 2,
    ),
    "async": (
        "import acme, asyncio\nasync def main(): return await acme.afetch(1)\nassert asyncio.run(main()) == 1",
        ["acme.afetch"],
    ),
    "instance attribute": ("import acme\nclass A: pass\na = A()\na.f = acme.fetch\na.f(1)", ["acme.fetch"]),
    "class attribute": ("import acme\nclass A:\n  f = staticmethod(acme.fetch)\nA.f(1)\nA().f(2)", ["acme.fetch"] * 2),
    "getattr": ("import acme\ngetattr(acme, 'fetch')(1)", ["acme.fetch"]),
    "derived": (
        """import acme
class A(acme.Client):
  def __init__(self): super().__init__(3)
  def get(self, x): return super().get(x)
assert A().get(1) == 4""",
        ["acme.Client.get"],
    ),
    "partial": ("import acme, functools\nfunctools.partial(acme.fetch, 1)()", ["acme.fetch"]),
    "map": ("import acme\nassert list(map(acme.fetch, [1, 2])) == [1, 2]", ["acme.fetch"] * 2),
    "map of a partial of map": (
        "import acme, functools\nlist(functools.partial(map, acme.fetch)([1, 2]))",
        ["acme.fetch"] * 2,
    ),
    "sorted": ("import acme\nassert sorted([2, 1], key=acme.fetch) == [1, 2]", ["acme.fetch"] * 2),
    "list.sort": ("import acme\nx = [2, 1]\nx.sort(key=acme.fetch)\nassert x == [1, 2]", ["acme.fetch"] * 2),
    "callbacks of the user stay": ("def f(x): return -x\nassert sorted([1, 2], key=f) == [2, 1]", []),
    "min and max": ("import acme\nmin([1, 2], key=acme.fetch), max(1, 2)", ["acme.fetch"] * 2),
    "reduce": ("import acme, functools\nfunctools.reduce(acme.fetch, [1, 2, 3])", ["acme.fetch"] * 2),
    "defaultdict": (
        "import acme, collections as c\nd = c.defaultdict(acme.fetch)\nd[1]\nassert type(d) is c.defaultdict",
        ["acme.fetch"],
    ),
    "dataclass factory": (
        """import dataclasses, uuid
@dataclasses.dataclass
class A:
  x: object = dataclasses.field(default_factory=uuid.uuid4)
assert A().x != A().x""",
        ["uuid.uuid4 (marker)"] * 2,
    ),
    "thread": ("import acme, threading\nt = threading.Thread(target=acme.fetch)\nt.start()\nt.join()", ["acme.fetch"]),
    "executor": (
        """import acme
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
  assert pool.submit(acme.fetch, 1).result() == 1
  assert list(pool.map(acme.fetch, [2])) == [2]""",
        ["acme.fetch"] * 2,
    ),
    "iter with sentinel": ("import acme\nlist(iter(acme.fetch, 0))", ["acme.fetch"]),
    "re.sub": ("import acme, re\nre.sub('a', lambda m: acme.fetch('b'), 'a')", ["acme.fetch"]),
    "exec and eval": (
        """import acme
def f(x):
  assert eval('acme.fetch(x)') == x
  exec('y = acme.fetch(x)', globals(), {'x': 2})
f(1)
exec('z = acme.fetch(3)')
assert z == 3
assert eval(' z', {'z': 4}) == 4""",
        ["acme.fetch"] * 3,
    ),
    "markers": (
        "import random, time, uuid, datetime\nrandom.random(), time.time(), uuid.uuid4(), datetime.datetime.now()",
        ["random.random (marker)", "time.time (marker)", "uuid.uuid4 (marker)", "datetime.datetime.now (marker)"],
    ),
    "marked": (
        """import acme, perdure
@perdure.activity
def f(): return acme.fetch(1)
assert f() == 1
class A:
  @perdure.activity
  def m(self): return acme.fetch(2)
assert A().m() == 2
f()""",
        ["user.f", "user.A.m", "user.f"],
    ),
    "private names": (
        "import acme\nclass A:\n  def __init__(self): self.__f = acme.fetch\n  def g(self): self.__f(1)\nA().g()",
        ["acme.fetch"],
    ),
    "user object that calls": (
        "import acme\nclass A:\n  def __call__(self): return acme.fetch(1)\nA()()",
        ["acme.fetch"],
    ),
    "open": ("import os\nopen(os.devnull).close()", ["builtins.open", "io.TextIOWrapper.close"]),
    "rebound builtin": ("import acme\nlen = acme.fetch\nlen(1)", ["acme.fetch"]),
}


@pytest.mark.parametrize("construct", ROUTED)
def test_external_calls_are_routed_in_order_and_nothing_else_is(project, construct):
    source, expected = ROUTED[construct]
    project.run(source)
    assert project.notes.routed == expected


def test_a_call_site_decides_anew_for_every_callee(project):
    user = project.run(
        """
        import acme
        def own(x): return x
        class Own:
            def __init__(self, x): pass
        def call(f): return f(1)
        class A:
            def m(self, x): return x
        def method(o): return o.m(1)
        """
    )
    import acme

    for f, routed in [(user.own, 0), (acme.fetch, 1), (user.own, 0), (user.Own, 0), (acme.Client, 1), (abs, 0)] * 2:
        before = len(project.notes.routed)
        user.call(f)
        assert len(project.notes.routed) - before == routed, f
    a = user.A()
    user.method(a)
    user.method(a)
    a.m = acme.fetch  # now the instance has one of its own
    user.method(a)
    assert project.notes.routed[-1] == "acme.fetch"
    del a.m
    count = len(project.notes.routed)
    user.method(a)
    user.A.m = lambda self, x: acme.fetch(x)  # of this file: not the project's
    user.method(a)
    assert len(project.notes.routed) == count + 1


def test_the_same_code_marked_and_unmarked_at_one_site(project):
    user = project.run(
        """
        import perdure
        def make():
            def f(): return 1
            return f
        def call(f): return f()
        class A:
            def m(self): return 1
        def method(o): return o.m()
        """
    )
    plain, marked = user.make(), perdure.activity(user.make())
    for f in (plain, marked, plain, marked):
        user.call(f)
    assert project.notes.routed == ["user.make.<locals>.f"] * 2


def test_attributes_are_fetched_exactly_once_and_errors_are_native(project):
    user = project.run(
        """
        log = []
        class A:
            @property
            def p(self): log.append("p"); return lambda: "p"
            @property
            def broken(self): log.append("broken"); raise KeyError("b")
            def __getattr__(self, name):
                log.append(name)
                if name == "no": raise AttributeError("none")
                return lambda: name
        def run(name): return {"p": lambda a: a.p(), "q": lambda a: a.q(), "no": lambda a: a.no(),
            "broken": lambda a: a.broken()}[name](A())
        """
    )
    for _ in range(3):
        assert (user.run("p"), user.run("q")) == ("p", "q")
        for name, error in (("no", AttributeError), ("broken", KeyError)):
            with pytest.raises(error) as caught:
                user.run(name)
            frames = traceback.extract_tb(caught.value.__traceback__)
            assert {frame.filename for frame in frames[1:]} == {user.__file__}
            assert frames[-1].name in {"__getattr__", "broken"}
    assert user.log == ["p", "q", "no", "broken"] * 3


def test_a_missing_attribute_of_a_module_says_so(project):
    user = project.run("import json\ndef f(): json.nothing()")
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'nothing'"):
        user.f()


def test_methods_that_a_shim_could_not_have(project):
    user = project.run(
        """
        import acme
        def f():
            c = acme.Client()
            return c.__class__(2).base, c.__getattribute__("base"), c.__eq__(c), c.__init__(5), c.base
        """
    )
    assert user.f() == (2, 1, True, None, 5)


def test_direct_means_direct(project):
    project.notes.depth = 1
    project.run("import acme\nacme.fetch(1)\nlist(map(acme.fetch, [1]))\nacme.Client().get()")
    assert project.notes.routed == []


def test_sites_say_where_they_are(project):
    project.write({"pkg/__init__": "", "pkg/deep": "import acme\nx = 'ä', acme.fetch(1)\n(acme\n   .Client())\n"})
    project.install()
    importlib.import_module("pkg.deep")
    first, second = project.notes.sites
    assert (first.file, first.line, first.column, first.name) == ("pkg/deep.py", 2, 15, "fetch")
    assert (second.file, second.line, second.column) == ("pkg/deep.py", 4, 5)
    assert (first.source(), second.source()) == ("x = 'ä', acme.fetch(1)", ".Client())")


def test_sites_keep_nothing_alive(project):
    user = project.run(
        """
        def call(f): return f()
        def method(o): return o.m()
        def make():
            def closure(): return 1
            class Local:
                def m(self): return 1
                def __call__(self): return 1
            return closure, Local, Local()
        """
    )

    def use():
        things = user.make()
        for thing in things:
            user.call(thing)
        user.method(things[2])
        return [weakref.ref(thing) for thing in things]

    dead = use()
    gc.collect()
    assert [ref() for ref in dead] == [None] * 3


def test_code_can_be_pickled_by_value(project):
    cloudpickle = pytest.importorskip("cloudpickle")
    user = project.run("import acme\ndef make(): return lambda o: (acme.fetch(1), o.get(2), len('a'))")
    import acme

    again = pickle.loads(cloudpickle.dumps(user.make()))
    assert again(acme.Client()) == (1, 3, 1)
    assert project.notes.routed == ["acme.fetch", "acme.Client.get"]
    assert project.notes.sites[0].file == "user.py"


def test_threads_at_one_site(project):
    user = project.run("import acme\ndef own(): return 0\ndef call(f): return f()\n")
    import acme

    def work():
        for i in range(500):
            user.call((user.own, acme.fetch)[i % 2])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert project.notes.routed == ["acme.fetch"] * 1000


# ---------------------------------------------------------------- the import system


def is_patched(module):
    return type(module.__spec__.loader) is hook_module.Loader


def test_packages_relative_lazy_and_namespace_imports(project):
    project.write(
        {
            "pkg/__init__": "from . import a\nfrom .sub.b import f",
            "pkg/a": "import acme\ndef g():\n  from . import lazy\n  return lazy.x",
            "pkg/lazy": "import acme\nx = acme.fetch(7)",
            "pkg/sub/b": "import acme\ndef f(): return acme.fetch(8)",
            "space/inner": "import acme\ny = acme.fetch(9)",
        }
    )
    project.install()
    pkg = importlib.import_module("pkg")
    inner = importlib.import_module("space.inner")
    assert project.notes.routed == ["acme.fetch"]
    assert (pkg.a.g(), pkg.f(), inner.y) == (7, 8, 9)
    assert project.notes.routed == ["acme.fetch"] * 3
    assert all(is_patched(sys.modules[name]) for name in ("pkg", "pkg.a", "pkg.lazy", "pkg.sub.b", "space.inner"))


def test_only_files_of_the_build_are_patched(project, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text("x = 1")
    project.write({".venv/lib/site-packages/dep": "x = 1", "user": "x = 1"})
    (project.root / "linked.py").symlink_to(outside)
    project.install()
    sys.path.insert(0, str(project.root / ".venv/lib/site-packages"))
    try:
        patched = {
            name: is_patched(importlib.import_module(name)) for name in ("user", "dep", "linked", "acme", "json")
        }
    finally:
        sys.path.pop(0)
    assert patched == {"user": True, "dep": False, "linked": False, "acme": False, "json": False}


def test_a_file_named_as_a_builtin_module_shadows_nothing(project):
    project.write({"time": "raise AssertionError", "sys": "raise AssertionError"})
    project.install()
    assert importlib.import_module("time") is sys.modules["time"]
    assert importlib.util.find_spec("time").origin == "built-in"


def test_modules_look_as_natively(project):
    user = project.run('"""Doc."""\nimport inspect\ndef f():\n    return 1\ntext = inspect.getsource(f)\n')
    assert user.__doc__ == "Doc."
    assert user.text == "def f():\n    return 1\n"
    assert user.__file__ == user.__spec__.origin == str(project.root / "user.py")
    assert importlib.reload(user) is user
    assert not (project.root / "__pycache__").exists()


def test_runpy_runs_patched_code(project):
    project.write(
        {
            "main": "import acme\nresult = __name__, acme.fetch(1)\n",
            "app/__main__": "import acme\nresult = acme.fetch(2)",
        }
    )
    project.install()
    assert runpy.run_module("main", run_name="__main__")["result"] == ("__main__", 1)
    assert runpy.run_module("app")["result"] == 2
    assert project.notes.routed == ["acme.fetch"] * 2


def test_uninstall(project):
    project.install()
    before = list(sys.meta_path)
    project.hook.uninstall()
    assert len(sys.meta_path) == len(before) - 1
    assert not is_patched(project.run("x = 1", "later"))


def test_pass_through_sites_return_their_argument(project):
    project.install(router=False)
    user = project.run("import acme\ndef f(o): return acme.fetch(1), o.get(2)\nx = f(acme.Client())")
    assert user.x == (1, 3)
    consts = [c for c in user.f.__code__.co_consts if callable(c)]
    assert consts == [sites.pass_through(None, "")] * 2


def test_a_syntax_error_has_its_line_and_caret(project):
    project.write({"bad": "x = 1\ny = (1 +\n"})
    project.install()
    with pytest.raises(SyntaxError) as caught:
        importlib.import_module("bad")
    assert (caught.value.filename, caught.value.lineno) == (str(project.root / "bad.py"), 2)


def test_warnings_during_import_name_the_importing_line(project):
    project.write({"old": "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)"})
    user = "\n\nimport old\n"
    with pytest.warns(DeprecationWarning, match="old") as caught:
        project.run(user)
    assert [(w.filename, w.lineno) for w in caught] == [(str(project.root / "user.py"), 3)]


# ---------------------------------------------------------------- the code cache


def cached(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def test_the_cache_is_filled_and_used(project, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    project.write({"user": "import acme\nx = acme.fetch(1)\n", "pkg/__init__": "", "bad": "def f(:", "pkg/b": "\0"})
    problems = compile_tree(str(project.root), str(cache))
    assert [(p.file, p.line) for p in problems] == [("bad.py", 1), ("pkg/b.py", 0)]
    assert problems[0].text == "def f(:"
    tag = f"{sys.implementation.cache_tag}-v{hook_module.REWRITE_VERSION}-O{sys.flags.optimize}"
    assert [str(p.relative_to(cache / tag)) for p in cached(cache)] == ["pkg/__init__.py.bin", "user.py.bin"]
    project.install(str(cache))
    monkeypatch.setattr(hook_module, "compile_source", None)
    assert importlib.import_module("user").x == 1
    assert project.notes.routed == ["acme.fetch"]


def damaged(data):
    magic = len(hook_module._MAGIC)
    yield b""
    yield data[:10]
    yield data[:-1]
    yield data[:-5] + b"\xff" + data[-4:]
    yield b"x" * magic + data[magic:]
    yield data[:magic] + b"x" + data[magic + 1 :]
    yield data + b"more"
    yield os.urandom(200)


def test_a_damaged_or_stale_cache_is_compiled_again(tmp_path):
    source, other = b"x = 1\n", b"x = 2\n"
    cache = CodeCache(str(tmp_path))
    cache.code(source, "user.py", "user.py")
    (file,) = cached(tmp_path)
    good = file.read_bytes()
    for bad in damaged(good):
        file.write_bytes(bad)
        assert cache.code(source, "user.py", "user.py").co_consts[0] == 1
        assert file.read_bytes() == good
    assert cache.code(other, "user.py", "user.py").co_consts[0] == 2
    assert cache.code(source, "user.py", "user.py").co_consts[0] == 1


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (str(tmp_path / "file"), "/proc/nowhere", None):
        assert CodeCache(folder).code(b"x = 1", "user.py", "user.py").co_consts[0] == 1
    assert [path.name for path in cached(tmp_path)] == ["file"]


def test_cached_code_is_marshalled_code_with_the_files_own_name(project, tmp_path):
    project.write({"user": "def f(): return 1\n"})
    elsewhere = tmp_path / "elsewhere"
    CodeCache(str(elsewhere)).code((project.root / "user.py").read_bytes(), "/other/user.py", "user.py")
    project.install(str(elsewhere))
    user = importlib.import_module("user")
    assert user.f.__code__.co_filename == user.__file__
    assert marshal.loads(marshal.dumps(compile_source(b"f(1)", "x"))).co_filename == "x"


def test_the_tree_of_a_build(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    tree = UserTree(str(tmp_path / "link"))
    assert tree.root == str(tmp_path / "real")
    assert tree.owns(str(tmp_path / "link" / "a.py"))
    assert tree.relative(str(tmp_path / "link" / "p" / "a.py")) == "p/a.py"
    assert not tree.owns(str(tmp_path / "real-not.py"))
    assert not tree.owns("/tmp/../etc/passwd")
    assert not tree.owns("<string>")
