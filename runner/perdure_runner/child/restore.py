"""What recorded pickles call when they are loaded.

Journals are kept for ever and name these functions and classes: never rename or remove one, nor change what it takes.
No user code runs here: a builtin base class makes exceptions, and their attributes are set past `__setattr__`.
"""

import builtins
import os
import pickle
import re
import types
from functools import lru_cache
from itertools import chain
from typing import Any

from perdure_runner.child.values import inert

# (file, qualified name, module, first line, last line, first column, last column); lines from 1, columns are UTF-8
# offsets from 0, None where unknown.
Frame = tuple[str, str, str, int, int | None, int | None, int | None]

BUILTIN_EXCEPTIONS: frozenset[type] = frozenset(
    thing for thing in vars(builtins).values() if type(thing) is type and issubclass(thing, BaseException)
)


class Unrecorded:
    """Stands where an exception carried something that could not be recorded."""

    __slots__ = ("text", "type_name")

    def __init__(self, type_name: str, text: str) -> None:
        self.type_name = type_name
        self.text = text

    def __repr__(self) -> str:
        return f"<not recorded: {self.text}>"


Change = tuple[Any, dict[str, Any]]
"""An object that a call was given and has changed, and its state now (`effects_state`)."""


class Outcome:
    """The outcome of a call that has changed what it was given."""

    __slots__ = ("changes", "value")

    def __init__(self, value: Any, changes: list[Change]) -> None:
        self.value = value
        self.changes = changes

    def __reduce__(self) -> tuple[Any, ...]:
        return outcome, (self.value, self.changes)


def outcome(value: Any, changes: list[Change]) -> Outcome:
    """What stands in pickles for an Outcome."""
    return Outcome(value, changes)


def regex_match(pattern: re.Pattern[Any], method: str, text: Any, pos: int, endpos: int) -> re.Match[Any]:
    """A match object, found again."""
    found: re.Match[Any] = getattr(pattern, method)(text, pos, endpos)
    return found


def mapping_proxy(content: dict[Any, Any]) -> types.MappingProxyType[Any, Any]:
    return types.MappingProxyType(content)


def dict_view(kind: str, content: list[Any]) -> object:
    """A view of a new dict with this content; `kind` is "keys", "values" or "items"."""
    if kind == "keys":
        return dict.fromkeys(content).keys()
    if kind == "values":
        return dict(enumerate(content)).values()
    return dict(content).items()


def memory(content: bytes | bytearray, layout: str, shape: tuple[int, ...]) -> memoryview:
    """A contiguous memoryview over a copy; over a bytearray it is writable."""
    flat = memoryview(content)
    return flat if layout == "B" and len(shape) == 1 else flat.cast(layout, shape)  # type: ignore[call-overload]


def solid_base(cls: type) -> Any:
    """The builtin exception class whose memory layout `cls` has."""
    while cls not in BUILTIN_EXCEPTIONS:
        cls = type.__dict__["__base__"].__get__(cls)
    return cls


def exception(cls: type[BaseException]) -> BaseException:
    """An empty exception, made without the class's own `__new__` and `__init__`; `fill` follows."""
    base = solid_base(cls)
    made: BaseException = base.__new__(cls)
    if base is StopIteration:
        StopIteration.__init__(made)  # without it the interpreter follows a null pointer where a generator ends
    return made


def exception_group(
    cls: type[BaseExceptionGroup[BaseException]], message: str, members: tuple[BaseException, ...]
) -> BaseException:
    """A group, made without the class's own `__new__` and `__init__`; `fill` follows."""
    return BaseExceptionGroup.__new__(cls, message, members)


def local_exception(base: type, module: str, qualname: str, definition: bytes, *group: Any) -> BaseException:
    """An exception of a class below `base` that no import can find; `group`: message and members. `fill` follows."""
    cls = _local_class(base, module, qualname, definition)
    return exception_group(cls, *group) if group else exception(cls)


_rebuilt: dict[tuple[str, str, bytes], type] = {}
"""Classes that user code has not defined in this process (the activity that did is not run again)."""


def _local_class(base: type, module: str, qualname: str, definition: bytes) -> type:
    """The newest class of this name, which user code has defined again by now; else as it was when it was recorded."""
    rebuilt = set(map(id, _rebuilt.values()))
    below = [base]
    for cls in below:  # grows
        below += type.__subclasses__(cls)
    for cls in reversed(below):
        if id(cls) not in rebuilt and (inert.module_of(cls), inert.qualname_of(cls)) == (module, qualname):
            return cls
    key = module, qualname, definition
    if key not in _rebuilt:
        _rebuilt[key] = _defined(definition, base) or type(
            qualname.rpartition(".")[2], (base,), {"__module__": module, "__qualname__": qualname}
        )
    return _rebuilt[key]


def _defined(definition: bytes, base: type) -> type | None:
    try:
        cls: Any = pickle.loads(definition) if definition else None
    except Exception:  # noqa: BLE001 - what the class is made of has changed
        return None
    return cls if issubclass(type(cls), type) and issubclass(cls, base) else None


def native_exception(data: bytes) -> BaseException:
    """An exception whose class is written in C and pickles itself; `fill` follows."""
    made: BaseException = pickle.loads(data)
    return made


def fill(error: BaseException, state: dict[str, Any]) -> None:
    """Set what `errors_codec.reduce_exception` recorded; an absent key means the default."""
    if "args" in state:
        _set(error, "args", state["args"])
    for name, value in state.get("fields", {}).items():
        found = inert.lookup(type(error), name)
        if found is not None and type(found[1]) in (types.MemberDescriptorType, types.GetSetDescriptorType):
            try:
                found[1].__set__(error, value)  # type: ignore[attr-defined]
            except (AttributeError, TypeError, ValueError):
                continue  # a field that this version of Python, or of the class, does not let us set
    attributes = inert.instance_dict(error)
    if attributes is not None:
        attributes.update(state.get("attributes", {}))
    for name in ("__cause__", "__context__"):
        if name in state:
            _set(error, name, state[name])
    _set(error, "__suppress_context__", state.get("suppress", False))
    _set(error, "__traceback__", traceback(state.get("frames", ())))


def _set(error: BaseException, name: str, value: object) -> None:
    BaseException.__dict__[name].__set__(error, value)  # a plain assignment could run a user's __setattr__


_IN_BUILD = "perdure-build:"  # before the names of files in recorded frames: never change it
_root = ""


def run_in(root: str) -> None:
    """The folder of the running build: recorded frames of the user's files are in it, whichever it was before."""
    global _root  # noqa: PLW0603 - a process runs one build
    _root = root + os.sep


def recorded_file(file: str) -> str:
    """A frame's file as it is recorded: without the folder of the build."""
    return _IN_BUILD + file.removeprefix(_root) if _root and file.startswith(_root) else file


def _file(recorded: str) -> str:
    return _root + recorded.removeprefix(_IN_BUILD) if recorded.startswith(_IN_BUILD) else recorded


class _Stop(BaseException):
    """Ends a frame that is made only to be shown."""


_TEMPLATE = compile("raise None", "", "exec").replace(co_consts=(_Stop,))
_UNITS = len(_TEMPLATE.co_code) // 2


def traceback(frames: tuple[Frame, ...]) -> types.TracebackType | None:
    """Real traceback objects that print, with source lines and carets, as the recorded ones did."""
    head = None
    for file, name, module, *positions in reversed(frames):
        try:
            exec(_code(_file(file), name, *positions), {"__name__": module})  # noqa: S102 - our own template
        except _Stop as stop:
            made = stop.__traceback__
            assert made is not None
            assert made.tb_next is not None
            made = made.tb_next  # without this function
            head = types.TracebackType(head, made.tb_frame, made.tb_lasti, positions[0] or 1)
    return head


@lru_cache(1024)
def _code(
    file: str, name: str, line: int, end_line: int | None, column: int | None, end_column: int | None
) -> types.CodeType:
    """A code object whose every instruction is at one place."""
    return _TEMPLATE.replace(
        co_filename=file,
        co_name=name.rpartition(".")[2],
        co_qualname=name,
        co_firstlineno=line,
        co_linetable=_location_table(line, end_line, column, end_column),
    )


def _location_table(line: int, end_line: int | None, column: int | None, end_column: int | None) -> bytes:
    """The table that says where instructions are; format of CPython's Objects/locations.md, 3.11 to 3.14."""
    if end_line is None or column is None or end_column is None:
        code, body = 13, b"\x00"  # no columns, same line as co_firstlineno
    else:
        code = 14
        body = bytes(chain(b"\x00", _varint(end_line - line), _varint(column + 1), _varint(end_column + 1)))
    return b"".join(bytes([0x80 | code << 3 | min(8, _UNITS - start) - 1]) + body for start in range(0, _UNITS, 8))


def _varint(value: int) -> list[int]:
    """Six bits a byte, the least significant first; bit 6 says that more follow."""
    parts = []
    while value >= 64:
        parts.append(0x40 | value & 0x3F)
        value >>= 6
    return [*parts, value]
