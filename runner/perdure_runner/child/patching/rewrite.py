"""Rewriting of user code: ``f(a)`` becomes ``SITE(f)(a)`` and ``o.m(a)`` becomes ``SITE(o).m(a)``.

Only the callee changes, so arguments, evaluation order, ``super()``, positions and frames stay as they were. SITE is
a constant of the code object: no name is added anywhere. In the tree (and in the code cache) it is a tuple that
``marshal`` takes; `bind` puts the site objects in its place after ``compile`` or ``marshal.loads``.

The constant stands inside ``<constant> if True else None``, which the compiler folds into one LOAD_CONST: a bare
constant as callee would earn "SyntaxWarning: 'tuple' object is not callable".

Pure: no file, module or interpreter state is touched but the recursion limit while compiling.
"""

import ast
import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import decode_source
from types import CodeType
from typing import Any, Final, Literal, NamedTuple, cast

REWRITE_VERSION: Final = 5
"""Part of the name of the code cache's folder: raise it whenever the same source gives other code."""

Kind = Literal["call", "class", "decorator", "super"]


class Mark(NamedTuple):
    """What a sentinel constant tells of its call.

    `kind` is "decorator" for the application of a decorator, and for the call that makes one (``@retry(3)``). It is
    "super" for ``SITE(super().m)(a)``, of which the interpreter makes one instruction where ``SITE(super()).m(a)``
    would have it make an object; "class" for what looks at a class once it is made.
    `name` is the attribute as the interpreter will look it up (private names mangled), None for ``f(a)``.
    `line` and `column` count from 1, `column` in characters.
    """

    kind: Kind
    name: str | None
    line: int
    column: int


_TAG: Final = "\0perdure.site"
_SENTINEL_LENGTH: Final = 1 + len(Mark._fields)

CALLBACK_BUILTINS: Final = frozenset({"filter", "iter", "map", "max", "min", "property", "sorted"})
_ROUTED_BUILTINS: Final = CALLBACK_BUILTINS | {"compile", "eval", "exec", "input", "open"}
SAFE_BUILTINS: Final = frozenset(
    name for name, value in vars(builtins).items() if callable(value) and name not in _ROUTED_BUILTINS and name != "_"
)
"""Builtins whose call can be neither external nor call an argument of its own accord."""

# What the compiler itself warns about when it is called, and what is plain data when a method is called on it.
_LITERALS = (
    ast.Constant,
    ast.Dict,
    ast.DictComp,
    ast.FormattedValue,
    ast.GeneratorExp,
    ast.JoinedStr,
    ast.List,
    ast.ListComp,
    ast.Set,
    ast.SetComp,
    ast.Tuple,
)
_Decorated = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


# ---------------------------------------------------------------- names


def mangle(class_name: str | None, name: str) -> str:
    """The name under which `name` is looked up inside class `class_name` ("Private name mangling")."""
    if class_name is None or not name.startswith("__") or name.endswith("__"):
        return name
    stripped = class_name.lstrip("_")
    return f"_{stripped}{name}" if stripped else name


def _bound_names(node: ast.AST) -> Iterator[str]:
    """The names that `node` itself (not its children) may bind somewhere in the module."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names
        case ast.alias(name=name, asname=asname):
            yield (asname or name).partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case _ if type(node).__name__ in {"TypeVar", "ParamSpec", "TypeVarTuple"}:  # 3.12 and later
            yield node.name  # type: ignore[attr-defined]
        case _:
            pass


def unbound_builtins(tree: ast.AST) -> tuple[frozenset[str], frozenset[str]]:
    """The safe builtins, and those that may call their arguments, that nothing in `tree` binds."""
    bound = {name for node in ast.walk(tree) for name in _bound_names(node)}
    return (frozenset(), frozenset()) if "*" in bound else (SAFE_BUILTINS - bound, CALLBACK_BUILTINS - bound)


def _postpones_annotations(tree: ast.AST) -> bool:
    """Is ``from __future__ import annotations`` in force? Then the compiler turns annotations into text."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in (tree.body if isinstance(tree, ast.Module) else ())  # an eval's body is no list
    )


# ---------------------------------------------------------------- the tree


class _Rewriter:
    """Changes one tree in place. It walks with a stack of its own: source may nest deeper than Python may recurse."""

    def __init__(self, tree: ast.AST, lines: list[str] | None, *, postponed: bool | None = None) -> None:
        self._safe, self._callbacks = unbound_builtins(tree)
        self._postponed = _postpones_annotations(tree) if postponed is None else postponed
        self._lines = lines

    def run(self, tree: ast.AST) -> None:
        nodes = list(self._walk(tree))  # all of them first: sites are calls too
        makers = {id(d) for node, _ in nodes if isinstance(node, _Decorated) for d in node.decorator_list}
        for node, class_name in nodes:
            if isinstance(node, ast.Call):
                self._call(node, class_name, "decorator" if id(node) in makers else "call")
            elif isinstance(node, _Decorated):
                node.decorator_list = [self._decorator(d, d is node.decorator_list[-1]) for d in node.decorator_list]
                if isinstance(node, ast.ClassDef) and self._may_inherit(node):
                    node.decorator_list.append(self._class_site(node))

    def _walk(self, tree: ast.AST) -> Iterator[tuple[ast.AST, str | None]]:
        """Every node with the name of the class whose body it is in."""
        stack: list[tuple[ast.AST, str | None]] = [(tree, None)]
        while stack:
            node, class_name = stack.pop()
            yield node, class_name
            stack.extend(self._children(node, class_name))

    def _children(self, node: ast.AST, class_name: str | None) -> Iterator[tuple[ast.AST, str | None]]:
        for field, value in ast.iter_fields(node):
            if self._postponed and field in {"annotation", "returns"}:
                continue
            inner = node.name if isinstance(node, ast.ClassDef) and field == "body" else class_name
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, ast.AST):
                    yield child, inner

    def _call(self, node: ast.Call, class_name: str | None, kind: Kind) -> None:
        match node.func:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name) as attribute if (
                attribute.lineno == attribute.end_lineno  # else the call's own line would be another
            ):
                node.func = _site(self._mark("super", mangle(class_name, name), attribute), attribute)
            case ast.Attribute(value=receiver, attr=name) as attribute:
                if not isinstance(receiver, _LITERALS):
                    mark = self._mark(kind, mangle(class_name, name), attribute)
                    attribute.value = _site(mark, receiver)
            case ast.Name(id=name) if name in self._safe or self._needs_no_site(name, node):
                pass
            case callee if not isinstance(callee, _LITERALS):
                node.func = _site(self._mark(kind, None, callee), callee)

    def _needs_no_site(self, name: str, node: ast.Call) -> bool:
        """Does this call of a builtin that may call its arguments hand it nothing external?"""
        if name not in self._callbacks:
            return False
        match name, node.args:
            case "iter", [argument]:
                return not isinstance(argument, ast.Starred)
            case (("map" | "filter"), [ast.Lambda(), *_]):
                return True
            case (("map" | "filter"), [ast.Name(id=function), *_]):
                return function in self._safe
            case "property", arguments:
                return all(isinstance(argument, ast.Lambda) for argument in arguments) and not node.keywords
            case (("min" | "max" | "sorted"), _):
                return all(
                    keyword.arg is not None and (keyword.arg != "key" or isinstance(keyword.value, ast.Lambda))
                    for keyword in node.keywords
                )
        return False

    def _decorator(self, node: ast.expr, innermost: bool) -> ast.expr:
        """`innermost`: what it is given is the user's own function, and no other decorator's result."""
        harmless = self._safe | self._callbacks if innermost else self._safe
        if isinstance(node, _LITERALS) or (isinstance(node, ast.Name) and node.id in harmless):
            return node
        return _site(self._mark("decorator", None, node), node)

    def _may_inherit(self, node: ast.ClassDef) -> bool:
        """May the class have methods that are not the user's?"""
        return any(not (isinstance(base, ast.Name) and base.id in self._safe) for base in node.bases)

    def _class_site(self, node: ast.ClassDef) -> ast.expr:
        """What looks at the class once it is made: on the line of its ``class``, so that no trace has another one."""
        offset = node.col_offset
        if self._lines is not None and node.lineno <= len(self._lines):
            offset = len(self._lines[node.lineno - 1].encode()[:offset].decode(errors="ignore"))
        place = ast.Name("class", ast.Load(), lineno=node.lineno, col_offset=node.col_offset)
        place.end_lineno, place.end_col_offset = node.lineno, node.col_offset + len("class")
        return _constant(Mark("class", None, node.lineno, offset + 1), place)

    def _mark(self, kind: Kind, name: str | None, callee: ast.expr) -> Mark:
        line, offset = callee.lineno, callee.col_offset
        if isinstance(callee, ast.Attribute) and callee.end_lineno and callee.end_col_offset:
            line = callee.end_lineno
            offset = max(0, callee.end_col_offset - len(callee.attr.encode()))
        if self._lines is not None and line <= len(self._lines):
            offset = len(self._lines[line - 1].encode()[:offset].decode(errors="ignore"))
        return Mark(kind, name, line, offset + 1)


def _site(mark: Mark, argument: ast.expr) -> ast.Call:
    """``SITE(argument)``, at the position of `argument`: other positions would show in traces and jumps."""
    call = ast.copy_location(ast.Call(func=_constant(mark, argument), args=[argument], keywords=[]), argument)
    call.lineno, call.col_offset = _last_position(argument)
    return call


def _constant(mark: Mark, place: ast.expr) -> ast.expr:
    """The sentinel, at the position of `place`."""
    constant = ast.copy_location(ast.Constant(value=cast("Any", (_TAG, *mark))), place)
    true = ast.copy_location(ast.Constant(value=True), place)
    none = ast.copy_location(ast.Constant(value=None), place)
    return ast.copy_location(ast.IfExp(test=true, body=constant, orelse=none), place)


def _last_position(node: ast.expr) -> tuple[int, int]:
    """Line and offset of the last instruction that computes `node`.

    The compiler gives an attribute on a later line than its object, and a call of it, the attribute's own line
    (``update_start_location_to_match_attr`` in CPython's compile.c); a site that went back to the object's first line
    would show as an extra line in every trace of a chain over several lines.
    """
    attribute = node.func if isinstance(node, ast.Call) else node
    if isinstance(attribute, ast.Attribute) and attribute.end_lineno and attribute.end_lineno != node.lineno:
        return attribute.end_lineno, max(0, (attribute.end_col_offset or 0) - len(attribute.attr))
    return node.lineno, node.col_offset


# ---------------------------------------------------------------- code


@contextmanager
def _deep() -> Iterator[None]:
    """Room for ``compile(tree)``, which counts nesting against the recursion limit where ``compile(source)`` does not.

    A tree that ``ast.parse`` took under the usual limit nests at most three times that deep, and sites double it.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit * 7)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def compile_source(source: bytes, filename: str, *, optimize: int = -1) -> CodeType:
    """Compile the bytes of a module (any encoding, BOM, line ends) to code with sentinels; `bind` makes it runnable.

    Raises what ``compile`` raises: SyntaxError, ValueError (NUL bytes), RecursionError.
    """
    tree = ast.parse(source, filename)
    lines = None if source.isascii() else decode_source(source).split("\n")
    _Rewriter(tree, lines).run(tree)
    with _deep():
        code: CodeType = compile(tree, filename, "exec", dont_inherit=True, optimize=optimize)
    return code


def compile_string(
    source: str | bytes | ast.AST,
    filename: str,
    mode: Literal["exec", "eval", "single"],
    flags: int,
    optimize: int = -1,
) -> CodeType:
    """Compile a string (or a tree, which is changed) under the __future__ `flags` of its caller, with sentinels."""
    tree: ast.AST = compile(cast("Any", source), filename, mode, flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    postponed = bool(flags & _ANNOTATIONS) or _postpones_annotations(tree)
    _Rewriter(tree, None, postponed=postponed).run(tree)
    with _deep():
        code: CodeType = compile(cast("Any", tree), filename, mode, flags, dont_inherit=True, optimize=optimize)
    return code


_ANNOTATIONS: Final = 0x1000000  # __future__.annotations.compiler_flag


def bind(code: CodeType, make_site: Callable[[Mark], object], filename: str | None = None) -> CodeType:
    """Copy `code`, and the code objects inside it, with `make_site`'s objects in place of the sentinels.

    `filename` replaces the file name that was compiled in (a cached build may have moved). Constants nested in tuples
    and frozensets are the user's own and are not looked at.
    """
    consts = list(code.co_consts)
    for i, const in enumerate(consts):
        kind = type(const)
        if kind is CodeType:
            consts[i] = bind(const, make_site, filename)
        elif kind is tuple and len(const) == _SENTINEL_LENGTH and const[0] == _TAG:
            consts[i] = make_site(Mark._make(const[1:]))
    return code.replace(co_consts=tuple(consts), co_filename=filename or code.co_filename)
