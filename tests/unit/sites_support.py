"""What tests of call sites share: a library that nobody knows, a router that notes, a loader through the hook."""

import importlib
import sys
import textwrap

import pytest
from perdure import _runtime
from perdure_runner.child.patching import sites, sites_pure
from perdure_runner.child.patching.hook import install

ACME = """
def fetch(*args): return "fetched"
def plain(f): return f
class Client:
    def m(self, *args): return "client"
    def other(self): return "other"
class Encoder:
    def encode(self): return "encoded"
"""
WARM = 5


class Notes:
    """A router that runs everything, and names what was routed."""

    def __init__(self):
        self.names = []

    def direct(self):
        return False

    def route(self, f, verdict, site):
        def routed(*args, **kwargs):
            self.names.append(site.name or getattr(f, "__name__", "?"))
            return f(*args, **kwargs)

        return routed


@pytest.fixture(name="notes")
def notes_fixture():
    return Notes()


@pytest.fixture(name="twin", params=["compiled", "pure"])
def twin_fixture(request, monkeypatch):
    """The sites of the test are of this module; both must stand the same attacks."""
    if request.param == "pure":
        chosen = sites_pure
    else:
        chosen = pytest.importorskip("perdure_runner.child.patching.sites_compiled", exc_type=ImportError)
    monkeypatch.setattr(sites, "twin", chosen)
    return chosen


@pytest.fixture(name="load")
def load_fixture(tmp_path, monkeypatch, notes, twin):
    """Returns a function that loads a module of this text through the hook, as an import would."""
    monkeypatch.setattr(_runtime, "no_activity", _runtime.NoActivities())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    root, library = tmp_path / "build", tmp_path / "library"
    root.mkdir()
    library.mkdir()
    (library / "acme.py").write_text(ACME)
    monkeypatch.syspath_prepend(str(library))
    monkeypatch.syspath_prepend(str(root))
    loaded = ["acme"]
    hooks = []

    def load(text, name="attacked"):
        (root / f"{name}.py").write_text(textwrap.dedent(text))
        if not hooks:
            hooks.append(install(str(root), None, notes))
        importlib.invalidate_caches()
        loaded.append(name)
        return importlib.import_module(name)

    yield load
    for hook in hooks:
        hook.uninstall()
    for name in loaded:
        sys.modules.pop(name, None)
