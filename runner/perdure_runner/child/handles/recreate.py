"""Making a live object again in a new process, where that is known to be right; else `perdure.HandleLost`."""

from __future__ import annotations

import inspect
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from typing import Any, Final, NoReturn

import perdure

from perdure_runner.child.handles.handle import GONE, STATE, Done, Handle, Recipe
from perdure_runner.child.handles.registry import CLOSES, READING_GENERATORS, Remake
from perdure_runner.child.values import codec

_READS: Final = re.compile(r"\s*(select|values|explain|show|describe|pragma\s+\w+\s*(;|$|\())", re.IGNORECASE)


def live(handle: Handle) -> Any:
    """The live object of a handle, made again if this process does not have it.

    Raises:
        perdure.HandleLost: that could be wrong.
    """
    if handle.live is GONE:
        if handle.root.live is GONE:
            _remake(handle.root)
        if handle.live is GONE:
            _remake(handle)
    return handle.live


async def live_async(handle: Handle) -> Any:
    """As `live`, also of objects that are made by a coroutine."""
    root = handle.root
    if root.live is GONE and root.kind.remake is Remake.AGAIN and (recipe := root.recipe) is not None:
        args, kwargs = root.table.unwrap(recipe.args, recipe.kwargs)
        f = root.kind.by or recipe.f
        if inspect.iscoroutinefunction(f):
            _refuse_if_lost(root)
            root.table.attach(root, await f(*args, **kwargs))
            _redo(root)
    return live(handle)


def lost(handle: Handle, why: str) -> NoReturn:
    """Say what is lost, where it was made, and why."""
    raise perdure.HandleLost(f"{_what(handle)} is gone with the process that held it, and {why}")


def _what(handle: Handle) -> str:
    site = handle.recipe and handle.recipe.site
    return f"the {handle.name} made at {site.file}:{site.line}" if site else f"a {handle.name}"


def _remake(handle: Handle) -> None:
    _refuse_if_lost(handle)
    recipe = handle.recipe
    if recipe is None:
        lost(handle, "the call that made it is not known any more")
    maker = _MAKERS[handle.kind.remake]
    with handle.table.without_effects(_what(handle)) if _is_users(handle, recipe) else nullcontext():
        maker(handle, recipe)


def _refuse_if_lost(handle: Handle) -> None:
    kind = handle.kind
    if kind.remake is Remake.LOST or (kind.remake is Remake.STATE and handle.facts.get(STATE) is None):
        lost(handle, kind.why)
    if kind.transactional and handle.in_transaction:
        lost(handle, "its transaction, which was not committed, was rolled back with it")


def _is_users(handle: Handle, recipe: Recipe) -> bool:
    """Is it made by a function of the project's, which may do more than that?"""
    return handle.kind.by is None and handle.table.is_user_code(recipe.f)


# ---------------------------------------------------------------- the ways


def _again(handle: Handle, recipe: Recipe) -> None:
    _attach_result(handle, recipe)
    if cookies := handle.facts.get("cookies"):
        for name, value, domain, path in cookies:
            handle.live.cookies.set(name, value, domain, path)
    _redo(handle)


def _generator(handle: Handle, recipe: Recipe) -> None:
    """One that has not begun is just called for again; what one has done must not be repeated by another."""
    asynchronous = handle.name == "builtins.async_generator"
    if handle.ended:
        handle.table.attach(handle, _no_items_async() if asynchronous else _no_items())
        return
    begun = not all(step.name in {"__iter__", "__aiter__"} for step in handle.done)
    if begun or not _makes_generators(recipe.f):
        reads = handle.table.name_of(recipe.f).startswith(READING_GENERATORS)
        if asynchronous or not (reads or handle.table.is_user_code(recipe.f)):
            lost(handle, "what it has done on the way to where it was must not be done again")
    _attach_result(handle, recipe)
    _redo(handle)


def _makes_generators(f: Any) -> bool:
    """Is it a generator function, of which a call alone does nothing?"""
    if (handle := getattr(f, "handle", None)) is not None:  # an operation
        f = getattr(handle.shape.cls, f.name, None)
    return inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f)


def _no_items() -> Iterator[Any]:
    yield from ()


async def _no_items_async() -> AsyncIterator[Any]:
    for item in _no_items():
        yield item


def _attach_result(handle: Handle, recipe: Recipe) -> None:
    """Make the call again, and take from its result the live object that this handle stands for."""
    table = handle.table
    table.attach_from(handle, table.run_again(handle.kind.by or recipe.f, recipe.args, recipe.kwargs))
    if handle.live is GONE:
        lost(handle, "the call that made it gives something else now")


def _redo(handle: Handle) -> None:
    """Do again what is known to have been done; a different result means that the object is another one."""
    done, handle.done = handle.done, []
    for step in done:
        _repeat(handle, step)


def _repeat(handle: Handle, step: Done) -> None:
    args, kwargs = handle.table.unwrap(step.args, step.kwargs)
    try:
        result = step.f(live(step.handle), *args, **kwargs)
    except perdure.HandleLost:
        raise
    except Exception:  # noqa: BLE001 - it failed then, too; or else a result was seen
        if step.result is not None:
            lost(handle, f"{step.name} fails now where it did not")
        return
    if inspect.iscoroutine(result):
        result.close()
        lost(handle, f"{step.name} can be done again only where it is awaited")
    if step.result is not None and codec.fingerprint(result) != step.result:
        handle.live = GONE
        lost(handle, f"{step.name} gives something else now than it did")
    if step.made is not None and step.made.live is GONE:
        handle.table.attach(step.made, result)


def _state(handle: Handle, _recipe: Recipe) -> None:
    handle.table.attach(handle, handle.table.from_state(handle))
    handle.done.clear()


def _file(handle: Handle, recipe: Recipe) -> None:
    mode = str(handle.facts.get("mode", "r"))
    if any(step.name in CLOSES for step in handle.done):
        stand_in = open(os.devnull, mode.replace("x", "w"))  # noqa: SIM115 - a closed file is what is wanted
        stand_in.close()
        handle.table.attach(handle, stand_in)
        return
    if not isinstance(path := handle.facts.get("name"), (str, bytes, os.PathLike)):
        lost(handle, "it is no file that has a path")
    if not os.path.isfile(path):
        lost(handle, f"its file {path!r} is not there any more")
    if "a" in mode:
        handle.done.clear()  # what was written is in the file: each operation has flushed it
    elif "x" in mode:
        recipe = _not_exclusive(handle, recipe)
    _attach_result(handle, recipe)
    _redo(handle)


def _not_exclusive(handle: Handle, recipe: Recipe) -> Recipe:
    """The same call of `open`, for a file that it has made already."""
    bound = inspect.signature(open).bind(*recipe.args, **recipe.kwargs)
    if recipe.f is not open or "mode" not in bound.arguments:
        lost(handle, "a file that must not exist can be made only once")
    bound.arguments["mode"] = bound.arguments["mode"].replace("x", "w")
    return Recipe(recipe.f, bound.args, bound.kwargs, recipe.site)


def _cursor(handle: Handle, recipe: Recipe) -> None:
    if handle.parent is None:
        lost(handle, "the connection that made it is not known")
    steps = [step for step in handle.done if not step.name.startswith("__") or step.name == "__next__"]
    first = getattr(recipe.f, "name", "")
    if first.startswith("execute"):
        steps.insert(0, Done(handle, first, _caller(first), recipe.args[1:], recipe.kwargs, None))
    last = max((i for i, step in enumerate(steps) if step.name.startswith("execute")), default=len(steps))
    reads = last < len(steps) and steps[last].name == "execute" and _READS.match(str(steps[last].args[0]))
    handle.table.attach(handle, live(handle.parent).cursor())
    handle.done = steps[last:] if reads else []
    _redo(handle)


def _caller(name: str) -> Callable[..., Any]:
    return lambda cursor, *args, **kwargs: getattr(cursor, name)(*args, **kwargs)


def _folder(handle: Handle, recipe: Recipe) -> None:
    """The same folder. It need not be there any more: all that a live one is for is its removal, which a crash may have
    interrupted at any point."""
    path = handle.facts.get("name")
    if not isinstance(path, str):
        lost(handle, "it has no path")
    make = tempfile.mkdtemp
    tempfile.mkdtemp = lambda *_, **__: path  # type: ignore[assignment]
    try:
        _attach_result(handle, recipe)
    finally:
        tempfile.mkdtemp = make


_MAKERS: Final[dict[Remake, Callable[[Handle, Recipe], None]]] = {
    Remake.AGAIN: _again,
    Remake.GENERATOR: _generator,
    Remake.STATE: _state,
    Remake.REAPPLY: _again,
    Remake.FILE: _file,
    Remake.CURSOR: _cursor,
    Remake.FOLDER: _folder,
}
