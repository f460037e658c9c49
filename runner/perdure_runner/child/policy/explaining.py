"""Says of every call in a project's source what it is, and why, without running any of the project's code.

Names are resolved as far as the source tells (`source`): functions, classes and modules of libraries are imported, here
and nowhere else, and judged by the very `Policy` that judges them in a session. What only running the code can tell
is called unresolved.

A program of its own (`main`), because what libraries do when they are imported is not ours to say.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import os
import resource
import socket
import types
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import perdure

from perdure_runner.child.policy.known import Verdict
from perdure_runner.child.policy.policy import Policy
from perdure_runner.child.policy.source import (
    FUNCTIONS,
    Assigned,
    Defined,
    Imported,
    Module,
    Project,
    Receiver,
    Scope,
    Unknown,
)

MAX_CALLS: Final = 50_000
MAX_TEXT: Final = 100  # characters of a call's source
_MEMORY_BYTES: Final = 4 << 30
_CPU_S: Final = 60
_DEPTH: Final = 20  # of names that stand for names
_WHAT: Final = {
    Verdict.DIRECT: "direct",
    Verdict.ACTIVITY: "activity",
    Verdict.MARKER: "marker",
    Verdict.CALLBACKS: "callbacks",
}
_TIMERS: Final = frozenset({"time.sleep", "asyncio.tasks.sleep", "perdure._calls.sleep"})
_MARKS: Final = {"activity": "activity", "no_activity": "direct"}


@dataclass(frozen=True, slots=True)
class Site:
    """One call. `what`: activity, marker, direct, callbacks, system or unresolved; `loading`: when the module loads."""

    file: str
    line: int
    column: int
    call: str
    function: str
    what: str
    why: str
    loading: bool


@dataclass(frozen=True, slots=True)
class _Object:
    """Something of a library or of Python, at hand. `instance`: not it is meant, but an instance of this class."""

    thing: Any
    instance: bool = False


@dataclass(frozen=True, slots=True)
class _Instance:
    """An instance of a class of the project."""

    of: Defined


_Resolved = _Object | _Instance | Defined | Module | Unknown


class Explainer:
    """Answers for the project below `root`; `no_activity` are the manifest's patterns of what is not recorded."""

    def __init__(self, root: str, no_activity: Iterable[str] = ()) -> None:
        self.project = Project(root)
        self._no_activity = tuple(no_activity)
        self._policy = Policy(lambda _: False, no_activity=self._no_activity)

    def sites(self, file: str, line: int = 0) -> Iterator[Site]:
        """The calls of a file; or of one line: those that begin on it, or else those that reach over it."""
        module = self.project.module(file)
        if module is None:
            return
        calls = sorted(module.calls, key=lambda found: (found[0].lineno, found[0].col_offset))
        if line:
            begun = [found for found in calls if line in {found[0].lineno, found[0].func.end_lineno}]
            calls = begun or [found for found in calls if found[0].lineno <= line <= (found[0].end_lineno or 0)]
        for call, scope in calls:
            yield self._site(module, call, scope)

    def _site(self, module: Module, call: ast.Call, scope: Scope) -> Site:
        function, what, why = self._judged(call.func, scope)
        outer = self._marked_around(scope)
        if outer is not None and what in {"activity", "marker", "callbacks", "unresolved"}:
            what, why = "direct", f"is a part of the activity {outer}, which is recorded as a whole"
        text = (ast.get_source_segment(module.text, call) or ast.unparse(call)).split("\n")[0][:MAX_TEXT]
        return Site(
            file=module.file,
            line=call.lineno,
            column=len((module.text.split("\n")[call.lineno - 1].encode()[: call.col_offset]).decode()) + 1,
            call=text,
            function=function,
            what=what,
            why=why,
            loading=not any(isinstance(each.node, FUNCTIONS) for each in _around(scope)),
        )

    def _judged(self, callee: ast.expr, scope: Scope) -> tuple[str, str, str]:
        """Name, what it is, and why, as the end of "it is ... because it ..."."""
        written = ast.unparse(callee)[:MAX_TEXT]
        if isinstance(callee, ast.Lambda):
            return "<lambda>", "direct", "is the project's own code, in which every call is looked at"
        match self._resolve(callee, scope):
            case _Object(thing, False) if callable(thing):
                return self._of_library(thing)
            case _Object():
                return written, "unresolved", "is an object whose calls only its class decides about"
            case Defined() as defined:
                return self._of_project(defined)
            case Unknown(why):
                return written, "unresolved", f"is only known when it runs: {why}"
        return written, "unresolved", "is only known when it runs"

    def _of_library(self, thing: Any) -> tuple[str, str, str]:
        name = self._policy.name(thing)
        if name in _TIMERS:
            return name, "system", "is a durable timer"
        if name.startswith("perdure."):
            return f"perdure.{name.rpartition('.')[2]}", "system", "is perdure's own"
        verdict = self._policy.verdict(thing)
        _, _, why = self._policy.explain(thing).partition(" because it ")
        return name, _WHAT[verdict], why.removesuffix(".")

    def _of_project(self, defined: Defined) -> tuple[str, str, str]:
        name = f"{defined.module.name}.{defined.qualname}"
        place = f"{defined.module.file}:{defined.node.lineno}"
        mark, called = self._mark(defined)
        name = called or name
        if any(fnmatchcase(name, pattern) for pattern in self._no_activity):
            return name, "direct", "matches a no_activity pattern of perdure.yaml"
        if mark == "activity":
            return name, "activity", f"is marked @perdure.activity ({place})"
        if mark == "direct":
            return name, "direct", f"is marked @perdure.no_activity ({place})"
        return name, "direct", f"is the project's own code ({place}), in which every call is looked at"

    def _mark(self, defined: Defined) -> tuple[str, str]:
        """What `@perdure.activity` or `@perdure.no_activity` says of it, and the name that it gives it."""
        for decorator in defined.node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            found = self._resolve(call.func if call else decorator, defined.inside)
            name = next((name for name in _MARKS if found == _Object(getattr(perdure, name))), "")
            if name:
                keywords = {each.arg: each.value for each in (call.keywords if call else [])}
                given = keywords.get("name")
                return _MARKS[name], str(given.value) if isinstance(given, ast.Constant) else ""
        return "", ""

    def _marked_around(self, scope: Scope) -> str | None:
        """The activity of the project that a scope is in."""
        for each in _around(scope):
            if isinstance(each.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and each.outer is not None:
                defined = Defined(scope.module, each.node, each.outer)
                mark, called = self._mark(defined)
                if mark == "activity":
                    return called or f"{scope.module.name}.{defined.qualname}"
        return None

    # ---- what an expression is

    def _resolve(self, node: ast.expr, scope: Scope, depth: int = 0) -> _Resolved:
        if depth > _DEPTH:
            return Unknown("its name stands for too many others")
        match node:
            case ast.Name(name):
                return self._named(name, scope, depth)
            case ast.Attribute(value, name):
                return self._attribute(self._resolve(value, scope, depth + 1), name, ast.unparse(value)[:60], depth)
            case ast.Call(callee):
                return self._result(self._resolve(callee, scope, depth + 1), callee)
            case ast.Constant(value):
                return _Object(type(value), instance=True)
            case ast.JoinedStr():
                return _Object(str, instance=True)
            case ast.List() | ast.ListComp():
                return _Object(list, instance=True)
            case ast.Dict() | ast.DictComp():
                return _Object(dict, instance=True)
            case ast.Set() | ast.SetComp():
                return _Object(set, instance=True)
            case ast.Await(value):
                return Unknown(f"it is what {ast.unparse(value)[:60]} gives")
        return Unknown(f"it is the value of {ast.unparse(node)[:60]}")

    def _named(self, name: str, scope: Scope, depth: int) -> _Resolved:
        match scope.find(name):
            case Imported(module, ""):
                return self._imported(module)
            case Imported(module, attribute):
                inner = self.project.named(f"{module}.{attribute}") if self.project.owns(module) else None
                return inner or self._attribute(self._imported(module), attribute, module, depth)
            case Defined() as defined:
                return defined
            case Receiver(defined):
                return _Instance(defined)
            case Assigned(value, where):
                return self._resolve(value, where, depth + 1)
            case Unknown() as unknown:
                return unknown
        if hasattr(builtins, name):
            return _Object(getattr(builtins, name))
        return Unknown(f"nothing in this file gives {name} a meaning")

    def _imported(self, name: str) -> _Resolved:
        if self.project.owns(name):
            return self.project.named(name) or Unknown(f"{name} cannot be read")
        try:
            return _Object(importlib.import_module(_known_as(name)))
        except BaseException as error:  # noqa: BLE001 - a library's code
            return Unknown(f"{name} cannot be imported here: {type(error).__name__}: {error}"[:200])

    def _attribute(self, owner: _Resolved, name: str, written: str, depth: int) -> _Resolved:
        match owner:
            case Module() as module if name in module.top.names:
                return self._named(name, module.top, depth + 1)
            case Module() as module:
                return self.project.named(f"{module.name}.{name}") or Unknown(f"{module.file} has no {name}")
            case Defined(module, ast.ClassDef() as node, _) | _Instance(Defined(module, ast.ClassDef() as node, _)):
                return self._of_class(module, node, name, depth)
            case _Object(thing, instance):
                return _attribute_of_object(thing, name, written, instance)
            case Unknown() as unknown:
                return unknown
        return Unknown(f"it is an attribute of {written}")

    def _of_class(self, module: Module, node: ast.ClassDef, name: str, depth: int) -> _Resolved:
        """A method of a class of the project, or of what it inherits from."""
        for each in node.body:
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name == name:
                return Defined(module, each, Scope(module, node, module.top))
        for base in node.bases:
            owner = self._resolve(base, module.top, depth + 1)
            found = Unknown("") if isinstance(owner, Unknown) else self._attribute(owner, name, node.name, depth + 1)
            if not isinstance(found, Unknown):
                return found
        return Unknown(f"{node.name}.{name} is set when it runs")

    def _result(self, callee: _Resolved, written: ast.expr) -> _Resolved:
        """What a call gives: known for classes only."""
        match callee:
            case _Object(thing, False) if isinstance(thing, type):
                return _Object(thing, instance=True)
            case Defined(_, ast.ClassDef(), _):
                return _Instance(callee)
            case Unknown() as unknown:
                return unknown
        return Unknown(f"it is what {ast.unparse(written)[:60]}() gives")


def _known_as(name: str) -> str:
    """The module behind a name: in sessions, `autokitteh` is ours."""
    top, dot, rest = name.partition(".")
    return f"perdure._autokitteh{dot}{rest}" if top == "autokitteh" else name


def _attribute_of_object(thing: Any, name: str, written: str, instance: bool) -> _Resolved:
    """An attribute of a library's module or class; of an instance of a class, only what the class has."""
    try:
        found = getattr(thing, name)
    except BaseException:  # noqa: BLE001 - a library's code
        return Unknown(f"{written} has no {name} that could be seen without running it")
    if instance and not callable(found):
        return Unknown(f"{name} is an attribute of {written}")
    if not instance and not isinstance(thing, (types.ModuleType, type)) and not callable(found):
        return Unknown(f"{name} is an attribute of {written}")
    return _Object(found)


def _around(scope: Scope) -> Iterator[Scope]:
    inner: Scope | None = scope
    while inner is not None:
        yield inner
        inner = inner.outer


def main(sock: socket.socket) -> int:
    """Answer one request, a line of JSON, with one: `{"root", "no_activity", "file", "line"}` -> a list of sites.

    Without a file: those of all files, at most `MAX_CALLS`.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):  # libraries may print when they are imported
        os.dup2(null, number)
    with sock, sock.makefile("rw", encoding="utf-8") as stream:
        request = json.loads(stream.readline())
        explainer = Explainer(request["root"], request["no_activity"])
        found: list[dict[str, Any]] = []
        for file in [request["file"]] if request["file"] else explainer.project.files():
            found += map(asdict, explainer.sites(file, request["line"]))
            if len(found) > MAX_CALLS:
                break
        stream.write(json.dumps(found[:MAX_CALLS]) + "\n")
    return 0
