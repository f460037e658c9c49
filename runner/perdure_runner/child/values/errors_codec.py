"""How exceptions are taken apart for the journal, without running their code.

Kept are: class, arguments, attributes, slots and C fields, notes, cause, context, members of a group, and the frames of
the traceback. Neither `__init__` nor `__reduce__` of the class matters, so classes with any signature round-trip.
"""

import pickle
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from os.path import dirname, sep
from typing import Any

import perdure

from perdure_runner.child import restore
from perdure_runner.child.values import inert
from perdure_runner.child.values.fingerprint import ATOMS
from perdure_runner.child.values.preview import preview

MAX_FRAMES = 50  # of one traceback; of a longer one, the outermost and the innermost halves
_TEXT_LIMIT = 2000  # characters of a stand-in

_OWN_FOLDERS = (dirname(perdure.__file__) + sep, dirname(dirname(dirname(__file__))) + sep)
# Not kept: `args` is kept apart, groups are made with theirs, and the object that lacked an attribute is often live
# (CPython's own pickling of AttributeError leaves it out as well).
_FIELDS_LEFT_OUT = frozenset({"args", "message", "exceptions", "obj"})

Dump = Callable[[object], bytes | None]
"""Pickles one value alone; None: it cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of an exception is recorded.

    probe: test every argument and attribute alone, and put a stand-in where one cannot be recorded.
    attributes: with attributes and slots; chain: with cause and context.
    """

    probe: bool = False
    attributes: bool = True
    chain: bool = True


# Tried in this order until one can be recorded within the limit.
LEVELS = (
    Detail(),
    Detail(probe=True),
    Detail(probe=True, attributes=False),
    Detail(probe=True, attributes=False, chain=False),
)


def reduce_exception(error: BaseException, detail: Detail, dump: Dump) -> tuple[Any, ...]:
    """What a pickle of `error` does when it is loaded, as `object.__reduce__` would answer.

    Of the class, `dump` is asked where no import can find it; of arguments and attributes only if `detail.probe`.
    """
    kind = type(error)
    make, args = _maker(error, dump)
    cls = kind if make in (restore.native_exception, restore.local_exception) else args[0]

    def keep(value: object) -> object:
        # An exception inside this one gets its own stand-ins, where it needs any; text that is too long is cut later.
        whole = not detail.probe or type(value) in ATOMS or _is_error(value) or _are_errors(value)
        return value if whole or dump(value) is not None else _stand_in(value)

    state: dict[str, Any] = {"args": tuple(map(keep, _get(error, "args")))}
    attributes = inert.instance_dict(error) or {}
    if detail.attributes:
        state["fields"] = {name: keep(value) for name, value in _fields(error)}
        state["attributes"] = {name: keep(value) for name, value in attributes.items() if name != "__notes__"}
    notes = _notes(attributes.get("__notes__"))
    if cls is not kind:
        notes.append(f"perdure: this was a {inert.type_name(kind)}, a class that cannot be recorded")
    if notes:
        state.setdefault("attributes", {})["__notes__"] = notes
    if detail.chain:
        state["__cause__"] = _get(error, "__cause__")
        state["__context__"] = _get(error, "__context__")
    state["suppress"] = _get(error, "__suppress_context__")
    frames = frames_of(_get(error, "__traceback__"))
    state["frames"] = tuple((restore.recorded_file(file), *rest) for file, *rest in frames)
    return make, args, state, None, None, restore.fill


def _is_error(value: object) -> bool:
    return issubclass(type(value), BaseException)


def _are_errors(value: object) -> bool:
    """As the members of a group, which are an argument of it."""
    return type(value) in {list, tuple} and all(map(_is_error, value))  # type: ignore[call-overload]


def bare_exception(error: BaseException) -> BaseException:
    """The least that can always be recorded: the nearest class with a name, and short texts for arguments."""
    cls = recordable_class(type(error))
    if issubclass(cls, BaseExceptionGroup):
        cls = Exception if issubclass(cls, Exception) else BaseException
    made = restore.exception(cls)
    args = tuple(
        preview(arg, _TEXT_LIMIT) if type(arg) is not str else arg[:_TEXT_LIMIT] for arg in _get(error, "args")
    )
    note = f"perdure: this was a {inert.type_name(type(error))} that could not be recorded in full"
    restore.fill(made, {"args": args[:10], "attributes": {"__notes__": [note]}})
    return made


def recordable_class(kind: type[BaseException]) -> type[BaseException]:
    """`kind`, or the nearest class above it that can be found again by name and made without running its code."""
    for cls in inert.mro(kind):
        if cls in restore.BUILTIN_EXCEPTIONS:
            return cls
        if issubclass(cls, BaseException) and inert.resolves(cls, inert.module_of(cls), inert.qualname_of(cls)):
            try:
                _empty(cls)
            except TypeError:  # a layout in C that the builtin base cannot make
                continue
            return cls
    return BaseException


def _empty(cls: type[BaseException]) -> BaseException:
    if issubclass(cls, BaseExceptionGroup):
        return restore.exception_group(cls, "", (Exception(),))
    return restore.exception(cls)


def _maker(error: BaseException, dump: Dump) -> tuple[Callable[..., BaseException], tuple[Any, ...]]:
    """A function of `restore` and its arguments, which make an exception without arguments and attributes."""
    data = _native(error)
    if data is not None:
        return restore.native_exception, (data,)
    kind = type(error)
    cls = recordable_class(kind)
    fields = BaseExceptionGroup.__dict__
    is_group = issubclass(cls, BaseExceptionGroup)
    group = (fields["message"].__get__(error), fields["exceptions"].__get__(error)) if is_group else ()
    if cls is not kind and restore.solid_base(cls) is restore.solid_base(kind):
        named = inert.module_of(kind), inert.qualname_of(kind)
        return restore.local_exception, (cls, *named, dump(kind) or b"", *group)
    return (restore.exception_group if is_group else restore.exception), (cls, *group)


def _native(error: BaseException) -> bytes | None:
    """The exception's own pickle, where its class is written in C and so may hide state from us."""
    for name in ("__reduce_ex__", "__reduce__"):
        found = inert.lookup(type(error), name)
        if found is None or found[0] is object or found[0] in restore.BUILTIN_EXCEPTIONS:
            continue
        if type(found[1]) is types.MethodDescriptorType:
            try:
                data = pickle.dumps(error, 5)
                return data if type(pickle.loads(data)) is type(error) else None
            except Exception:  # noqa: BLE001 - the class's own code
                return None
    return None


def _get(error: BaseException, name: str) -> Any:
    return BaseException.__dict__[name].__get__(error)


def take_over(error: BaseException, decoded: BaseException) -> None:
    """Make an exception that is being raised hold what replay will give instead; the frames stay its own."""
    if type(error) is not type(decoded):
        return
    attributes = inert.instance_dict(error)
    if attributes is not None:
        attributes.clear()
    frames = _get(error, "__traceback__")
    state = {"args": _get(decoded, "args"), "fields": dict(_fields(decoded))}
    state["attributes"] = inert.instance_dict(decoded) or {}
    state |= {name: _get(decoded, name) for name in ("__cause__", "__context__")}
    restore.fill(error, state | {"suppress": _get(decoded, "__suppress_context__")})
    BaseException.__dict__["__traceback__"].__set__(error, frames)


def _fields(error: BaseException) -> Iterator[tuple[str, object]]:
    """Slots, and the fields of builtin exceptions, that hold something."""
    for owner, name, descriptor in inert.members(type(error)):
        if name in _FIELDS_LEFT_OUT:
            continue
        try:
            value = descriptor.__get__(error)
        except (AttributeError, TypeError):  # not set
            continue
        if value is not None or owner not in restore.BUILTIN_EXCEPTIONS:
            yield name, value


def _notes(notes: object) -> list[str]:
    return [str.__str__(note) for note in notes if issubclass(type(note), str)] if type(notes) is list else []


def _stand_in(value: object) -> restore.Unrecorded:
    return restore.Unrecorded(inert.type_name(type(value)), preview(value, _TEXT_LIMIT))


def frames_of(traceback: types.TracebackType | None) -> tuple[restore.Frame, ...]:
    """The frames of a traceback, outermost first, without perdure's own."""
    frames = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_OWN_FOLDERS):
            frames.append(_frame(traceback))
        traceback = traceback.tb_next
    if len(frames) > MAX_FRAMES:
        frames[MAX_FRAMES // 2 : -MAX_FRAMES // 2] = []
    return tuple(frames)


def _frame(traceback: types.TracebackType) -> restore.Frame:
    code = traceback.tb_frame.f_code
    module = traceback.tb_frame.f_globals.get("__name__")
    line, end_line, column, end_column = next(
        islice(code.co_positions(), traceback.tb_lasti // 2, None), (None, None, None, None)
    )
    if line is None:
        line, end_line, column, end_column = traceback.tb_lineno, None, None, None
    name = module if type(module) is str else "?"
    return code.co_filename, code.co_qualname, name, line or 1, end_line, column, end_column
