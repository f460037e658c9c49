"""What sites remember: of many owners and callees, of special callables, and for how long.

`acme` is a library that nobody knows; its functions are external. See `sites_support`.
"""

import gc
import types
import weakref

import perdure
import pytest
from sites_support import WARM, Notes, load_fixture, notes_fixture, twin_fixture  # noqa: F401 - fixtures

# ---------------------------------------------------------------- many owners


def test_a_site_of_many_classes_judges_each(load, notes):
    user = load(
        """
        import acme
        def method(o): return o.m()
        def made(n): return [type(f"Own{i}", (), {"m": lambda self, i=i: i}) for i in range(n)]
        """
    )
    classes = user.made(30)
    for _ in range(2):
        for i, cls in enumerate(classes):
            assert user.method(cls()) == i
            assert user.method(user.acme.Client()) == "client"
    assert notes.names == ["m"] * 60


def test_a_site_of_many_callees_judges_each(load, notes):
    user = load("import acme\ndef call(f): return f()\n" + "\n".join(f"def f{i}(): return {i}" for i in range(30)))
    for _ in range(3):
        for i in range(30):
            assert user.call(getattr(user, f"f{i}")) == i
        user.call(user.acme.fetch)
    assert notes.names == ["fetch"] * 3


def test_an_address_that_is_used_again_fools_no_site(load, notes):
    user = load(
        """
        import acme
        def call(f): return f()
        def method(o): return o.m()
        def own(self=None): return "own"
        def made(external, kind):
            m = (lambda self: acme.fetch) if kind else own
            return type("C", (), {"m": acme.fetch if external else m, "__module__": "acme" if external else __name__})
        def closure(): return lambda: None
        """
    )
    addresses = set()
    for i in range(8_000):
        external = i % 3 == 0
        cls = user.made(external, i % 2)
        addresses.add(id(cls))
        routed = len(notes.names)
        user.method(cls())
        user.call(cls)
        user.call(user.closure())
        assert len(notes.names) - routed == 2 * external
        del cls
    assert len(addresses) < 6_000  # they were used again


def test_a_class_with_its_own_getattribute_is_asked_once_wherever_it_is(load):
    user = load(
        """
        log = []
        def method(o): return o.m()
        def make(watched):
            class Own:
                def m(self): return "m"
                if watched:
                    def __getattribute__(self, name): log.append(name); return super().__getattribute__(name)
            return Own
        class Watched:
            def m(self): return "m"
        class Asked(Watched):
            def __getattribute__(self, name): log.append(name); return super().__getattribute__(name)
        """
    )
    addresses = [[], []]
    for i in range(400):
        cls = user.make(i % 2)
        addresses[i % 2].append(id(cls))
        user.method(cls())
        del cls
        gc.collect(0)  # a class is in cycles
    assert not set(addresses[0]).isdisjoint(addresses[1])
    assert user.log == ["m"] * 200
    user.method(user.Watched())
    user.method(user.Asked())
    assert user.log == ["m"] * 201


def test_sites_keep_no_local_thing_alive(load):
    user = load(
        """
        def call(f): return f()
        def method(o): return o.m()
        def made():
            cell = Thing()
            def closure(): return cell
            class Local:
                def m(self): return cell
                @staticmethod
                def s(): return cell
            class Derived(Local):
                def m(self): return super().m()
            class Borrowing:
                m = lent
            return cell, closure, Local, Derived, Borrowing
        def lent(self): return None
        class Thing: pass
        def use():
            cell, closure, local, derived, borrowing = made()
            call(closure), call(local), call(derived)
            method(local()), method(derived()), borrowing().m(), method(borrowing())
            local.s(), derived.s()
            return cell, closure, local, derived, borrowing
        """
    )
    for _ in range(3):
        user.call(user.Thing)
        dead = [weakref.ref(thing) for thing in user.use()]
        gc.collect()
        assert [ref() for ref in dead] == [None] * 5


def test_a_patched_method_is_not_kept_by_the_site(load):
    user = load("def method(o): return o.m()\nclass Own:\n  def m(self): return 1\n")

    def patch():
        def replacement(self):
            return 2

        user.Own.m = replacement
        assert user.method(user.Own()) == 2
        return weakref.ref(replacement)

    original = user.Own.m
    user.method(user.Own())
    ref = patch()
    user.Own.m = original
    gc.collect()
    assert ref() is None


# ---------------------------------------------------------------- what is remembered of special callables


SPECIAL = """
import functools, re, acme
def wrap(f):
    @functools.wraps(f)
    def wrapper(*args): return f(*args)
    return wrapper
@wrap
def wrapped(): return "wrapped"
@functools.cache
def cached(): return "cached"
class Callable:
    def __call__(self): return "called"
class Own:
    def m(self): return "m"
class Bag(dict): pass
pattern = re.compile("a")
def call_wrapped(): return wrapped()
def call_cached(): return cached()
def call(f): return f()
def get(o): return o.get("key", 0)
def sub(new): return pattern.sub(new, "a")
def own_new(match): return "c"
def encode(o): return o.encode()
"""


def test_what_lambdas_for_builtins_call_is_looked_at(load, notes):
    user = load(
        """
        import acme
        def own(items): return sorted(items, key=lambda item: -item)
        def asking(items): return max(items, key=lambda item: len(acme.fetch(item)))
        def handing(items): return min(items, key=acme.fetch)
        """
    )
    for _ in range(WARM):
        assert user.own([1, 2]) == [2, 1]
    assert notes.names == []
    assert (user.asking([1, 2]), user.handing([1, 2])) == (1, 1)
    assert notes.names == ["fetch"] * 4
    assert not any(type(const) is types.BuiltinFunctionType for const in user.own.__code__.co_consts)


def test_functions_with_attributes_are_seen_when_they_are_marked(load, notes):
    user = load(SPECIAL)
    for _ in range(WARM):
        assert (user.call_wrapped(), user.call_cached()) == ("wrapped", "cached")
    user.wrapped.calls = 1
    user.call_wrapped()
    assert notes.names == []
    perdure.activity(user.wrapped)
    perdure.activity(user.cached.__wrapped__)
    assert (user.call_wrapped(), user.call_cached()) == ("wrapped", "cached")
    assert notes.names == ["wrapped", "cached"]


NESTED = """
import functools, acme
class Own:
    class Nested:
        pass
    @functools.cache
    def m(self): return "cached"
    def made(self): return self.Nested()
def method(o): return o.m()
"""


def test_classes_and_cached_methods_inside_a_class(load, notes):
    user = load(NESTED)
    o = user.Own()
    for _ in range(WARM):
        assert (type(o.made()), user.method(o)) == (user.Own.Nested, "cached")
    assert notes.names == []
    perdure.activity(user.Own.Nested)
    perdure.activity(user.Own.m.__wrapped__)
    o.made(), user.method(o)
    assert notes.names == ["Nested", "m"]
    o.Nested = user.acme.Client
    user.Own.m = user.acme.fetch
    o.made(), user.method(o)
    assert notes.names == ["Nested", "m"] * 2


def test_a_patched_cached_method_is_not_kept_by_the_site(load):
    user = load(
        "import functools\ndef method(o): return o.m()\nclass Own:\n  def m(self): return 1\n"
        "def patch():\n  @functools.cache\n  def replacement(self): return 2\n  Own.m = replacement\n"
    )
    original = user.Own.m
    user.patch()
    assert [user.method(user.Own()) for _ in range(WARM)] == [2] * WARM
    ref = weakref.ref(user.Own.m)
    user.Own.m = original
    gc.collect()
    assert ref() is None


def test_bound_methods_and_objects_that_are_called(load, notes):
    user = load(SPECIAL)
    o = user.Own()
    for _ in range(WARM):
        assert (user.call(o.m), user.call(user.Callable())) == ("m", "called")
    assert notes.names == []
    perdure.activity(user.Own.m)
    assert user.call(o.m) == "m"
    user.Callable.__call__ = user.acme.fetch
    user.call(user.Callable())
    assert notes.names == ["m", "?"]


def test_a_c_method_of_a_derived_class_may_be_overridden_later(load, notes):
    user = load(SPECIAL)
    bag = user.Bag()
    for _ in range(WARM):
        assert (user.get(bag), user.get({})) == (0, 0)
    assert notes.names == []
    bag.get = user.acme.fetch
    assert user.get(bag) == "fetched"
    del bag.get
    user.Bag.get = user.acme.fetch
    assert user.get(bag) == "fetched"
    assert notes.names == ["get"] * 2


def test_callables_for_c_methods_are_looked_at_each_time(load, notes):
    user = load(SPECIAL)
    for _ in range(WARM):
        assert (user.sub("b"), user.sub(user.own_new)) == ("b", "c")
    assert notes.names == []
    assert user.sub(user.acme.fetch) == "fetched"
    assert notes.names == ["sub"]
    perdure.register_no_activity("re.*")
    assert user.sub(user.acme.fetch) == "fetched"
    assert notes.names == ["sub"]


@pytest.mark.parametrize("thing", ["fetch", "Client", "acme.*", "acme"])
def test_registrations_at_run_time_are_heard(load, notes, thing):
    user = load("import acme\ndef call(f): return f()\ndef fetch(): return acme.fetch()\ndef m(o): return o.m()\n")

    def calls():
        notes.names.clear()
        user.call(user.acme.fetch), user.fetch(), user.call(user.acme.Client), user.m(user.acme.Client())
        return notes.names

    for _ in range(WARM):
        assert calls() == ["fetch", "fetch", "Client", "m"]
    registered = {"acme.*": "acme.*", "acme": user.acme}
    perdure.register_no_activity(registered.get(thing) or getattr(user.acme, thing))
    left = {"fetch": ["Client", "m"], "Client": ["fetch", "fetch"]}
    for _ in range(WARM):
        assert calls() == left.get(thing, [])


def test_a_library_method_is_judged_by_the_class_that_it_is_called_on(load, notes):
    user = load(SPECIAL)
    import json

    user.acme.Derived = type("Derived", (user.acme.Encoder,), {"__module__": "acme"})
    derived = type("Json", (json.JSONEncoder,), {"__module__": "acme", "encode": lambda self: user.own})
    for _ in range(WARM):
        user.encode(user.acme.Encoder())
        user.encode("text")
    assert notes.names == ["encode"] * WARM
    derived.encode = json.JSONEncoder.encode
    with pytest.raises(TypeError):
        user.encode(json.JSONEncoder())  # known to be pure
    del derived.encode
    with pytest.raises(TypeError):
        user.encode(derived())  # but not in an unknown library
    assert notes.names == ["encode"] * (WARM + 1)


def test_replaced_builtins_disturb_no_site(load, monkeypatch):
    user = load("def method(o): return o.m()\ndef made(): return type('Own', (), {'m': lambda self: 1})\n")
    user.method(user.made()())
    with monkeypatch.context() as patch:
        patch.setattr("builtins.len", lambda _: 1 / 0)
        for _ in range(20):
            assert user.method(user.made()()) == 1
