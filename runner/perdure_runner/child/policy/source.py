"""What a project's source says about its names, without running any of it: imports, definitions, simple values.

`Project.module` reads a file; `Module.scope_of` and `Scope.find` say what a name is bound to where it is used. A name
that is bound in several ways is unknown: better no answer than a wrong one.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*FUNCTIONS, ast.ClassDef)
MAX_SOURCE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Imported:
    """`import module`, or `from module import name`. `module` is absolute."""

    module: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Defined:
    """A function or class of the project, in the scope `inside`."""

    module: Module
    node: Definition
    inside: Scope

    @property
    def qualname(self) -> str:
        """`Class.method`, as Python has it."""
        names = [self.node.name]
        scope: Scope | None = self.inside
        while scope is not None and scope.node is not None:
            if isinstance(scope.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                names.append("<locals>")
            names.append(getattr(scope.node, "name", "<lambda>"))
            scope = scope.outer
        return ".".join(reversed(names))


@dataclass(frozen=True, slots=True)
class Assigned:
    """`name = value`, once."""

    value: ast.expr
    scope: Scope


@dataclass(frozen=True, slots=True)
class Receiver:
    """The first parameter of a method: an instance of the project's class, or the class itself."""

    of: Defined


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that only running the code can tell."""

    why: str


Binding = Imported | Defined | Assigned | Receiver | Unknown


@dataclass(eq=False, slots=True)
class Scope:
    """The names of a module, class or function. `node` is None for a module."""

    module: Module
    node: ast.AST | None = None
    outer: Scope | None = None
    names: dict[str, Binding] = field(default_factory=dict)

    def bind(self, name: str, binding: Binding) -> None:
        """Take note of a binding; a second one that is no mere import again leaves the name unknown."""
        if self.names.setdefault(name, binding) != binding:
            self.names[name] = Unknown(f"{name} is bound more than once")

    def find(self, name: str) -> Binding | None:
        """What a name means here, by Python's rules of scope; None: nothing of this module, perhaps a builtin."""
        scope: Scope | None = self
        while scope is not None:
            own = scope is self or not isinstance(scope.node, ast.ClassDef)
            if own and name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None


@dataclass(eq=False, slots=True)
class Module:
    """A file of the project."""

    file: str
    name: str
    text: str
    top: Scope = field(init=False)
    calls: list[tuple[ast.Call, Scope]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.top = Scope(self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(self.text, self.file)
        self._visit(tree, self.top)

    def _visit(self, node: ast.AST, scope: Scope) -> None:
        """All bindings and calls below `node`."""
        for child in ast.iter_child_nodes(node):
            self._bind(child, scope)
            if isinstance(child, ast.Call):
                self.calls.append((child, scope))
            if not isinstance(child, _SCOPES):
                self._visit(child, scope)
                continue
            inner = Scope(self, child, scope)
            if isinstance(child, FUNCTIONS):
                _bind_parameters(child, inner, scope)
            for part in ast.iter_child_nodes(child):  # decorators, defaults and bases belong to the outside
                body = getattr(child, "body", [])
                within = part is body or (isinstance(body, list) and part in body)
                self._visit_part(part, inner if within else scope)

    def _visit_part(self, part: ast.AST, scope: Scope) -> None:
        self._visit(ast.Module([part], []), scope)  # type: ignore[list-item]  # any node: only its children are visited

    def _bind(self, node: ast.AST, scope: Scope) -> None:  # noqa: C901 - a table of the forms that bind names
        match node:
            case ast.Import(names):
                for alias in names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    scope.bind(alias.asname or whole, Imported(whole))
            case ast.ImportFrom(module, names, level):
                source = self._absolute(module or "", level or 0)
                for alias in names:
                    scope.bind(alias.asname or alias.name, Imported(source, alias.name))
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                scope.bind(name, Defined(self, node, scope))
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, ast.expr() as value):
                scope.bind(name, Assigned(value, scope))
            case ast.withitem(context, ast.Name(name)):
                scope.bind(name, Unknown(f"{name} is what {ast.unparse(context)[:60]} gives when it is entered"))
            case ast.NamedExpr(ast.Name(name), value):
                scope.bind(name, Assigned(value, scope))
            case ast.Name(name, ast.Store()) if name not in scope.names:
                scope.names[name] = Unknown(f"{name} is set when it runs")
            case ast.ExceptHandler(_, str(name)):
                scope.bind(name, Unknown(f"{name} is an exception"))
            case ast.Global(names) | ast.Nonlocal(names):
                for each in names:
                    self.top.names[each] = scope.names[each] = Unknown(f"{each} is set by a function")

    def _absolute(self, module: str, level: int) -> str:
        """The name of a module that is named relative to this one."""
        if not level:
            return module
        package = self.name if self.file.endswith("__init__.py") else self.name.rpartition(".")[0]
        parts = package.split(".") if package else []
        base = parts[: len(parts) - level + 1]
        return ".".join([*base, module] if module else base)


def _bind_parameters(node: ast.AST, inner: Scope, outer: Scope) -> None:
    arguments: ast.arguments = node.args  # type: ignore[attr-defined]  # a function's or a lambda's
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each]
    for parameter in every:
        inner.names[parameter.arg] = Unknown(f"{parameter.arg} is what the caller hands over")
    first = next(iter([*arguments.posonlyargs, *arguments.args]), None)
    if first and isinstance(outer.node, ast.ClassDef) and not isinstance(node, ast.Lambda) and outer.outer is not None:
        marks = {ast.unparse(each) for each in node.decorator_list}  # type: ignore[attr-defined]  # a function's
        if "staticmethod" not in marks:
            inner.names[first.arg] = Receiver(Defined(outer.module, outer.node, outer.outer))


class Project:
    """All files below a folder, read when they are asked for."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._modules: dict[str, Module | None] = {}

    def files(self) -> Iterator[str]:
        """Paths of all Python files, relative to the root, sorted; not in hidden folders, links not followed."""
        for folder, folders, names in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
            for name in sorted(names):
                if name.endswith(".py"):
                    yield os.path.relpath(os.path.join(folder, name), self._root)

    def module(self, file: str) -> Module | None:
        """The module in a file; None where there is none that can be read."""
        if file not in self._modules:
            self._modules[file] = self._read(file)
        return self._modules[file]

    def named(self, name: str) -> Module | None:
        """The module of this name, if it is the project's."""
        path = name.replace(".", "/")
        return self.module(f"{path}.py") or self.module(f"{path}/__init__.py")

    def owns(self, name: str) -> bool:
        """Is this module, or the package that it would be in, the project's?"""
        first = os.path.join(self._root, name.partition(".")[0])
        return os.path.isfile(first + ".py") or os.path.isdir(first)

    def _read(self, file: str) -> Module | None:
        path = os.path.join(self._root, file)
        try:
            if os.path.getsize(path) > MAX_SOURCE_BYTES:
                return None
            with open(path, "rb") as stream:
                text = stream.read().decode("utf-8-sig")
            name = file.removesuffix(".py").replace(os.sep, ".").removesuffix(".__init__")
            return Module(file, name, text)
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
            return None
