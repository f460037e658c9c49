"""What only the compiled sites could get wrong: versions, addresses, inline values, references, threads, tracing."""

import gc
import sys
import threading
import types

import cloudpickle
import perdure
import pytest
from perdure_runner.child.policy.policy import MARK
from sites_support import WARM, load_fixture, notes_fixture  # noqa: F401 - fixtures

_sites = pytest.importorskip("perdure_runner.child.patching._sites", exc_type=ImportError)


@pytest.fixture(params=["compiled"], name="twin")
def only_compiled(monkeypatch):
    """The sites of this file are the compiled ones, whatever the process would choose."""
    from perdure_runner.child.patching import sites, sites_compiled

    monkeypatch.setattr(sites, "twin", sites_compiled)
    return sites_compiled


MODULE = """
import acme
def own(*args): return "own"
def call(f): return f()
def method(o): return o.m()
def get(o): return o.get("key", "got")
class Own:
    def m(self): return "m"
class Many:
    def m(self): return "m"
class Slotted:
    __slots__ = ("x",)
    def m(self): return "m"
class Both(Slotted):
    pass
class Bag(dict):
    def m(self): return "m"
class Row(tuple):
    def m(self): return "m"
class Answering:
    def m(self): return "m"
    def __getattr__(self, name): return 1
class Called:
    def __call__(self): return "called"
class Local(__import__("threading").local):
    def m(self): return "m"
class Derived(Own):
    def m(self): return super().m()
def other(i): return lambda self: i
"""


@pytest.fixture
def user(load):
    return load(MODULE)


def test_the_mark_is_the_policys():
    assert _sites.MARK == MARK


# ---------------------------------------------------------------- attributes of instances


@pytest.mark.parametrize("kind", ["Own", "Both", "Bag", "Row", "Answering", "Local", "Called"])
@pytest.mark.parametrize("how", ["attribute", "dict", "odd dict", "late key"])
def test_an_attribute_of_the_instance_hides_the_method(user, notes, kind, how):
    cls = getattr(user, kind)
    cls.m = user.Own.m
    for _ in range(WARM):
        assert user.method(cls()) == "m"
    o = cls()
    match how:
        case "attribute":
            o.m = user.acme.fetch
        case "dict":
            o.__dict__["".join(["m"])] = user.acme.fetch
        case "odd dict":
            o.__dict__[1] = 1
            o.__dict__["m"] = user.acme.fetch
        case "late key":
            for i in range(40):  # more than keys can be shared
                setattr(o, f"a{i}", i)
            o.m = user.acme.fetch
    assert user.method(o) == "fetched"
    assert user.method(cls()) == "m"
    del o.__dict__["m"]
    assert user.method(o) == "m"
    assert notes.names == ["m"]


def test_a_method_of_the_instances_own_is_compared_each_time(user, notes):
    o = user.Own()
    for _ in range(WARM):
        o.m = user.own
        assert user.method(o) == "own"
    o.m = user.acme.fetch
    assert user.method(o) == "fetched"
    assert notes.names == ["m"]


def test_slots_that_hide_a_method(user, notes):
    for _ in range(WARM):
        assert user.method(user.Slotted()) == "m"
    user.Slotted.m = user.Slotted.x
    o = user.Slotted()
    o.x = user.acme.fetch
    assert user.method(o) == "fetched"
    assert notes.names == ["m"]


def test_modules_with_odd_namespaces(load, notes):
    user = load("import acme\ndef helped(): return helper.own()\ndef own(): return 'own'\n")
    helper = types.ModuleType("helper")
    helper.own = user.own
    user.helper = helper
    for i in range(WARM):
        assert user.helped() == "own"
        setattr(helper, f"more{i}", i)
    vars(helper)[1] = 1
    assert user.helped() == "own"
    helper.own = user.acme.fetch
    assert user.helped() == "fetched"
    del helper.own
    with pytest.raises(AttributeError):
        user.helped()
    helper.__getattr__ = lambda name: user.acme.fetch
    assert user.helped() == "fetched"
    assert notes.names == ["own"] * 2


# ---------------------------------------------------------------- callables that change


def test_a_function_whose_attributes_are_replaced(user, notes):
    marked = perdure.activity(lambda: None).__dict__
    for _ in range(WARM):
        user.call(user.own), user.method(user.Own())
    user.own.__dict__ = marked
    user.Own.m.__dict__ = marked
    user.call(user.own), user.method(user.Own())
    assert notes.names == ["own", "m"]


def test_a_static_method_that_is_made_anew_in_place(load, notes):
    user = load(
        "import acme\nclass Own:\n  @staticmethod\n  def s(): return 's'\ndef through(o): return o.s()\n"
        "def static(): return Own.s()\n"
    )
    for _ in range(WARM):
        assert (user.through(user.Own()), user.static()) == ("s", "s")
    vars(user.Own)["s"].__init__(user.acme.fetch)
    assert (user.through(user.Own()), user.static()) == ("fetched", "fetched")
    assert notes.names == ["s", "s"]


def test_c_methods_and_bound_methods_as_callees(load, notes):
    user = load(MODULE)
    bag, items = user.Bag(), []
    for _ in range(WARM):
        user.call(items.copy), user.call(bag.copy), user.call(bag.__len__), user.call(user.Own().m)
    assert notes.names == []
    user.Bag.copy = user.acme.fetch
    perdure.activity(user.Own.m)
    user.call(bag.copy), user.call(items.copy), user.call(user.Own().m)
    assert notes.names == ["fetch", "m"]


def test_a_known_class_of_callable_objects(user, notes):
    for _ in range(WARM):
        assert user.call(user.Called()) == "called"
    user.Called.__call__ = user.acme.fetch
    assert user.call(user.Called()) == "fetched"
    assert len(notes.names) == 1


def test_calling_a_class_is_not_calling_its_instances(load, notes):
    user = load(
        """
        import acme
        class Meta(type):
            def __call__(cls, *args): return "made"
        class Own(metaclass=Meta):
            __call__ = acme.fetch
        def call(f): return f()
        """
    )
    instance = object.__new__(user.Own)
    for _ in range(WARM):
        assert user.call(user.Own) == "made"
        assert user.call(instance) == "fetched"
    assert len(notes.names) == WARM


def test_super_of_other_classes_at_one_site(load, notes):
    user = load(
        """
        import acme
        class Own:
            def m(self): return "m"
        class Mixin:
            def m(self): return super().m()
        class Internal(Mixin, Own): pass
        class External(Mixin, acme.Client): pass
        """
    )
    for _ in range(WARM):
        assert (user.Internal().m(), user.External().m()) == ("m", "client")
    assert notes.names == ["m"] * WARM


def test_what_super_says_when_there_is_no_such_method(load):
    user = load("class Own:\n  def m(self):\n    return super().missing(1 / 0)\n")
    with pytest.raises(AttributeError, match="'super' object has no attribute 'missing'") as caught:
        user.Own().m()
    assert caught.traceback[-1].name == "m"


# ---------------------------------------------------------------- versions


def test_a_class_that_changes_without_end(user, notes):
    """CPython gives a class so many versions, and then none (1,000 from 3.13 on)."""
    external = user.acme.fetch
    for i in range(1_500):
        user.Many.m = user.other(i) if i % 50 else external
        assert user.method(user.Many()) == (i if i % 50 else "fetched")
        assert user.method(user.Many()) == (i if i % 50 else "fetched")
    assert notes.names == ["m"] * 60


def test_classes_at_addresses_that_are_used_again(load, notes):
    user = load(
        """
        import acme
        def call(f): return f()
        def method(o): return o.m()
        def own(self=None): return "own"
        def made(external):
            return type("C", (), {"m": acme.fetch if external else own, "__module__": "acme" if external else __name__})
        """
    )
    addresses = set()
    for i in range(20_000):
        external = not i % 2
        cls = user.made(external)
        addresses.add(id(cls))
        user.method(cls())
        user.call(cls)
        del cls
    assert len(notes.names) == 20_000
    assert len(addresses) < 10_000  # they were used again


# ---------------------------------------------------------------- references, threads, tracing


def test_nothing_leaks_in_two_million_calls(load):
    user = load(
        """
        class Own:
            def m(self): return None
            @staticmethod
            def s(): return None
        class Derived(Own):
            def m(self): return super().m()
        def own(): return None
        def run(count):
            o, derived, items = Own(), Derived(), []
            for _ in range(count):
                own(), o.m(), derived.m(), Own(), o.s(), Own.s(), items.copy()
        """
    )
    user.run(100)
    gc.collect()
    blocks, counts = sys.getallocatedblocks(), [sys.getrefcount(thing) for thing in (user.own, user.Own, None)]
    user.run(250_000)  # eight sites
    gc.collect()
    assert [sys.getrefcount(thing) for thing in (user.own, user.Own)] == counts[:2]
    assert abs(sys.getrefcount(None) - counts[2]) < 1_000
    assert sys.getallocatedblocks() - blocks < 1_000


def test_what_sites_learn_and_forget_does_not_grow(load):
    user = load("def method(o): return o.m()\ndef call(f): return f()\n")
    space = {}

    def learn(count):
        for _ in range(count):
            exec("class C:\n  def m(self): return self\ndef f(): return 1\n", space)
            user.method(space["C"]())
            user.call(space["f"])
            user.call(space["C"])
        space.clear()
        gc.collect()

    learn(200)
    blocks = sys.getallocatedblocks()
    learn(2_000)
    assert sys.getallocatedblocks() - blocks < 3_000


def test_a_site_is_visited_and_goes_with_what_it_holds(load):
    user = load("class Guard: pass\ndef call(f): return f()\ndef lasting(): return 1\nlasting.note = 1\n")
    for _ in range(WARM):
        user.call(user.lasting)
    guard = next(const for const in user.call.__code__.co_consts if type(const) is types.BuiltinFunctionType).__self__
    assert gc.is_tracked(guard)
    assert any(thing is user.lasting for thing in gc.get_referents(guard))


def test_eight_threads_at_the_same_sites(load, notes):
    user = load(MODULE)
    wrong = []
    start = threading.Barrier(8)

    def work(number):
        start.wait()
        for i in range(2_000):
            cls = type("C", (user.Own,), {} if i % 3 else {"m": user.other("other")})
            if user.method(cls()) != ("m" if i % 3 else "other") or user.call(user.own) != "own":
                wrong.append(i)
            if not i % 100 and user.call(user.acme.fetch) != "fetched":
                wrong.append(i)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert notes.names == ["fetch"] * 160


def test_no_tracer_sees_a_decision(user):
    seen = []

    def trace(frame, event, arg):
        seen.append(frame.f_code.co_filename)
        return trace

    sys.settrace(trace)
    try:
        user.call(user.own), user.method(user.Own()), user.get({})
    finally:
        sys.settrace(None)
    assert {name.rpartition("/")[2] for name in seen} == {"attacked.py"}


def test_properties_are_traced_and_run_once(load):
    user = load(
        "log = []\nclass Own:\n  @property\n  def m(self):\n    log.append(1)\n    return lambda: 1\n"
        "def method(o): return o.m()\n"
    )
    seen = []
    sys.settrace(lambda frame, event, arg: seen.append(frame.f_code.co_name))
    try:
        user.method(user.Own())
    finally:
        sys.settrace(None)
    assert user.log == [1]
    assert seen == ["method", "m", "<lambda>"]


def test_code_by_value_carries_its_sites(load, notes):
    user = load("import acme\ndef made():\n  def f(o): return o.m(), acme.fetch()\n  return f\n")
    code = cloudpickle.loads(cloudpickle.dumps(user.made()))
    assert code(user.acme.Client()) == ("client", "fetched")
    assert notes.names == ["m", "fetch"]


def test_wrong_arguments_are_refused():
    guard = _sites.MethodGuard("m")
    for wrong in ((), (1,), (1, 2, 3, 4)):
        with pytest.raises(TypeError):
            guard.remember(*wrong)
        with pytest.raises(TypeError):
            _sites.CallGuard().remember(*wrong)
    with pytest.raises(TypeError):
        _sites.MethodGuard(1)
    with pytest.raises(TypeError):
        _sites.MethodGuard.__new__(_sites.MethodGuard).method(1)
