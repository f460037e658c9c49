"""Attacks on what sites remember: whatever a program changes after a site is warm, its calls are routed rightly.

Each attack is a module of a build. `warm` makes every site of it learn, then the attack changes something, and `calls`
tells which calls were routed. `acme` is a library that nobody knows; its functions are external.
"""

import types

import perdure
import pytest
from sites_support import WARM, load_fixture, notes_fixture, twin_fixture  # noqa: F401 - fixtures

MODULE = """
import acme, helper
log = []
def own(*args): return "own"
def call(f): return f()
def call_own(): return own()
def method(o): return o.m()
def helped(): return helper.own()
def made(): return Own()
class Own:
    def m(self, *args): return "m"
    @classmethod
    def c(cls): return "c"
    @staticmethod
    def s(): return "s"
    def __call__(self): return "called"
class Sub(Own): pass
class Below(Own):
    def m(self): return super().m()
class Meta(type): pass
class OfMeta(metaclass=Meta):
    def m(self): return "m"
def classm(): return Own.c()
def static(): return Own.s()
def through(o): return o.s()
"""


@pytest.fixture
def warm(load):
    """The module above, each site of which has learnt what it can."""
    helper = load("def own(): return 'own'\nclass Klass: pass\n", "helper")
    user = load(MODULE)
    user.helper = helper
    for _ in range(WARM):
        for f in (user.own, user.Own, user.Own()):
            user.call(f)
        for o in (user.Own(), user.Sub(), user.Below(), user.OfMeta()):
            user.method(o)
        user.call_own(), user.helped(), user.made(), user.classm(), user.static(), user.through(user.Own())
    return user


def test_nothing_of_the_programs_own_is_routed(warm, notes):
    assert notes.names == []
    assert [warm.method(o) for o in (warm.Own(), warm.Sub(), warm.Below())] == ["m"] * 3
    assert [warm.call_own(), warm.helped(), warm.classm(), warm.static()] == ["own", "own", "c", "s"]


def external(user):
    return user.acme.fetch


def set_class_attribute(user):
    user.Own.m = external(user)
    user.method(user.Own())


def set_class_attribute_of_base(user):
    user.Own.m = external(user)
    user.method(user.Sub())


def set_class_attribute_under_super(user):
    user.Own.m = external(user)
    user.method(user.Below())


def set_class_attribute_in_between(user):
    user.Sub.m = external(user)
    user.method(user.Own())
    user.method(user.Sub())


def set_static_method(user):
    user.Own.s = staticmethod(external(user))
    user.through(user.Own())


def set_static_method_called_on_the_class(user):
    user.Own.s = staticmethod(external(user))
    user.static()


def set_class_method(user):
    user.Own.c = classmethod(external(user))
    user.classm()


def shadow_by_instance(user):
    o = user.Own()
    user.method(o)
    o.m = external(user)
    user.method(o)


def shadow_static_by_instance(user):
    o = user.Own()
    o.s = external(user)
    user.through(o)


def shadow_by_bound_method(user):
    o = user.Own()
    o.m = user.acme.Client().m
    user.method(o)


def rebind_function(user):
    user.own = external(user)
    user.call_own()


def rebind_function_of_module(user):
    user.helper.own = external(user)
    user.helped()


def rebind_class(user):
    user.Own = user.acme.Client
    user.made()


def replace_module(user):
    user.helper = types.SimpleNamespace(own=external(user))
    user.helped()


def change_class_of_instance(user):
    o = user.Own()
    user.method(o)
    o.__class__ = type("Other", (user.Own,), {"m": external(user)})
    user.method(o)


def change_bases(user):
    base = type("Base", (), {"m": external(user), "__module__": user.__name__})
    user.Sub.__bases__ = (base, user.Own)
    user.method(user.Sub())


def change_bases_under_super(user):
    base = type("Base", (user.Own,), {"m": external(user)})
    user.Below.__bases__ = (base,)
    user.method(user.Below())


def set_property(user):
    user.Own.m = property(lambda self: external(user))
    user.method(user.Own())


def set_slot(user):
    user.Own.m = property(lambda self: self.__dict__["x"])
    o = user.Own()
    o.x = external(user)
    user.method(o)


def delete_and_answer_by_getattr(user):
    del user.Own.m
    user.Own.__getattr__ = lambda self, name: external(user)
    user.method(user.Own())


def set_getattribute(user):
    user.Own.__getattribute__ = lambda self, name: external(user)
    user.method(user.Own())


def set_metaclass_attribute(user):
    user.Meta.m = property(lambda cls: external(user))
    user.method(user.OfMeta)


def metaclass_attribute_hides_nothing_of_instances(user):
    user.OfMeta.m = external(user)
    user.Meta.m = property(lambda cls: user.own)
    user.method(user.OfMeta())


def mark_function(user):
    perdure.activity(user.own)
    user.call_own()


def mark_method(user):
    perdure.activity(user.Own.m)
    user.method(user.Own())


def mark_method_under_super(user):
    perdure.activity(user.Own.m)
    user.method(user.Below())


def mark_static_method(user):
    perdure.activity(user.Own.s)
    user.static()


def mark_function_of_module(user):
    perdure.activity(user.helper.own)
    user.helped()


def mark_class(user):
    perdure.activity(user.Own)
    user.made()


def mark_base_class(user):
    user.Own = user.Sub
    user.made()
    perdure.activity(user.Sub.__base__)
    user.made()


ATTACKS = [
    (set_class_attribute, ["m"]),
    (set_class_attribute_of_base, ["m"]),
    (set_class_attribute_under_super, ["m"]),
    (set_class_attribute_in_between, ["m"]),
    (set_static_method, ["s"]),
    (set_static_method_called_on_the_class, ["s"]),
    (set_class_method, ["c"]),
    (shadow_by_instance, ["m"]),
    (shadow_static_by_instance, ["s"]),
    (shadow_by_bound_method, ["m"]),
    (rebind_function, ["fetch"]),
    (rebind_function_of_module, ["own"]),
    (rebind_class, ["Client"]),
    (replace_module, ["own"]),
    (change_class_of_instance, ["m"]),
    (change_bases, ["m"]),
    (change_bases_under_super, ["m"]),
    (set_property, ["m"]),
    (set_slot, ["m"]),
    (delete_and_answer_by_getattr, ["m"]),
    (set_getattribute, ["m"]),
    (set_metaclass_attribute, ["m"]),
    (metaclass_attribute_hides_nothing_of_instances, ["m"]),
    (mark_function, ["own"]),
    (mark_method, ["m"]),
    (mark_method_under_super, ["m"]),
    (mark_static_method, ["s"]),
    (mark_function_of_module, ["own"]),
    (mark_class, ["Own"]),
    (mark_base_class, ["Sub"]),
]


@pytest.mark.parametrize(("attack", "routed"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
def test_what_changes_behind_a_warm_site_is_seen(warm, notes, attack, routed):
    attack(warm)
    assert notes.names == routed
