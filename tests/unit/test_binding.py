"""Which names a module may have, as told by its words: against Python's own symbol tables, and odd texts."""

from __future__ import annotations

import ast
import re
import symtable
import sysconfig
import textwrap
import warnings
from pathlib import Path

import pytest
from perdure_server.coordinator import binding
from perdure_server.coordinator.binding import can_have

LIBRARY = Path(sysconfig.get_path("stdlib"))
MAKES_NAMES = re.compile(r"import \*|globals|locals|modules|__dict__|vars|exec|eval|setattr")


@pytest.mark.parametrize(
    ("source", "possible"),
    [
        # what gives a module a name
        ("def name(event): ...", True),
        ("async def name(event): ...", True),
        ("class name: ...", True),
        ("name = 1", True),
        ("first, (name, *rest) = value", True),
        ("name: Handler = make()", True),
        ("import x as name", True),
        ("from x import (\n    other,\n    name,\n)", True),
        ("for name in x: ...", True),
        ("with x as name: ...", True),
        ("print(name := 1)", True),
        ("f'{(name := 1)}'", True),
        ('Rf"""{\'a\' if (name := 1) else \'\'}"""', True),
        ("def f():\n    return f'{name}'", False),
        ("b'names'; 'other name'", False),
        ("def f(x=(name := 1)): ...", True),
        ("match x:\n    case [name]: ...", True),
        ("if x:\n    def name(event): ...", True),
        ("try:\n    import name\nexcept ImportError:\n\tname = None", True),
        ("x = 1; name = 2", True),
        ("if x: pass; name = 2", True),
        ("def f():\n    def g():\n        global other, name\n        name = 1", True),
        ("def f():\n    pass\n# name\n\nname = f", True),
        ("def f(): pass\nname = f", True),
        ("def f():\n    return '''\n'''\nname = 1", True),
        ("def f(a,\nb): pass\nname = 1", True),
        ("x = [\n  1,\n]; name = 2", True),
        ("class A:\n    x = 1\n\fname = 1", True),
        ("x = 1 \\\n    if y else 2\nname = 1", True),
        ("@made\ndef f(): ...\n\n@f\n@name\ndef g(): ...", True),  # in doubt
        ("\ufeffname = 1", True),
        ("\uff4e\uff41me = 1", True),  # the same identifier for Python
        # what may make it as it runs
        ("from x import *", True),
        ("globals()['na' + 'me'] = 1", True),
        ("setattr(sys.modules[__name__], x, f)", True),
        ("run = exec\nrun(text)", True),
        ("@register('name')\ndef f(): ...", True),
        ("make('other name')", True),
        ("def f():\n    register('name')\nf()", True),
        ("# coding: utf-7\nx = 1", True),
        # what is no name of the module
        ("def f(event):\n    name = event\n    return name", False),
        ("def f(name): ...", False),
        ("def f(name=1): x = name; name = 3", False),
        ("class A:\n    def name(self): ...\n    name = 1", False),
        ("def f():\n    def name(): ...\n\n    class name: ...", False),
        ("if x:\n    def f():\n        name = 1", False),
        ("x.name = y.name", False),
        ("f(x, name=1)", False),
        ("# name", False),
        ('"""What name does."""\nx = 1', False),
        ("x = 'the name of it'", False),
        ("def f():\n    '''Its name.'''\n    return f('no name')", False),
        ("def f():\n    global other; name = 1", False),
        ("names = name2 = my_name = 1", False),
        ("def f():\n    if x:\n        pass\n\n# x\n    name = 1", False),
        ("", False),
        # what is no Python here: any word will do
        ("x = 'name", True),
        ("def f(name:\n    pass", True),
        ("def f():\n    x = )\n    name = 1", True),
        ("'''never ended\n", False),
    ],
)
def test_what_gives_a_module_a_name(source: str, possible: bool) -> None:
    assert can_have(source.encode(), "name") is possible


def test_a_name_that_is_not_ascii_is_in_doubt() -> None:
    assert can_have(b"x = 1", "\u00fcber")


def bound(source: str, name: str) -> tuple[set[str], set[str]]:
    """Names that code at the top level, or after `global`, binds; and all other words that are names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        top = symtable.symtable(source, name, "exec")
    tables, found = [top], set[str]()
    others: set[str] = set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            binds = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            at_top = table is top or symbol.is_declared_global()
            (found if binds and at_top else others).add(symbol.get_name())
    return found, others - found


def test_the_standard_library_is_read_as_python_reads_it() -> None:
    """No name that Python would bind is refused; of those that are only used within functions many are."""
    files = sorted({*LIBRARY.glob("*.py"), *LIBRARY.glob("asyncio/*.py"), *LIBRARY.glob("test/test_gr*.py")})[::9]
    refused = 0
    for file in files:
        source = file.read_bytes()
        if len(source) > binding.MAX_BYTES or MAKES_NAMES.search(text := source.decode(errors="replace")):
            continue
        found, others = bound(text, file.name)
        wrong = [name for name in found if not can_have(source, name)]
        assert not wrong, f"{file}: {wrong}"
        refused += sum(not can_have(source, name) for name in sorted(others)[:40])
    assert refused > 200


def test_python_agrees_with_the_table_of_this_test() -> None:
    source = textwrap.dedent("def f(a):\n    global g\n    g = b = a\nclass C:\n    d = 1\n")
    assert bound(source, "x")[0] == {"f", "C", "g"}
    assert ast.parse(source)


PIECES = (
    b'\\"""',
    b"'''",
    b"(",
    b"[",
    b"'\n",
    b"\\\n",
    b"\xff",
    b"#\r",
    b"def ",
    b"a.",
    b'"""\\',
    b"'\\\n",
    b" \t\f",
    b";",
)


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: bytes) -> None:
    """What is quadratic takes minutes for these, and the patience of the suite."""
    many = piece * ((binding.MAX_BYTES - 10) // len(piece))
    can_have(many + b"\nname", "name")
    assert can_have(b"name\n" + many, "name")
