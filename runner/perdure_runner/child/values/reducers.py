"""Reducers for data that the standard pickler refuses."""

import re
import types
from collections.abc import Callable
from typing import Any

from perdure_runner.child import restore


def _match(found: re.Match[Any]) -> Any:
    """Repeat the search with the method and bounds that find the same groups."""
    for method, start in (
        ("match", found.pos),
        ("fullmatch", found.pos),
        ("search", found.pos),
        ("match", found.start()),
    ):
        again = getattr(found.re, method)(found.string, start, found.endpos)
        if again is not None and again.regs == found.regs:
            return restore.regex_match, (found.re, method, found.string, start, found.endpos)
    raise TypeError("cannot pickle a match object whose search cannot be repeated")


def _memory(view: memoryview) -> Any:
    layout = view.format.removeprefix("@")
    content = view.tobytes()
    args: tuple[Any, ...] = (content if view.readonly else bytearray(content), layout, view.shape)
    restore.memory(*args)  # raises TypeError for a layout that only its exporter can make
    return restore.memory, args


REDUCERS: dict[type, Callable[[Any], Any]] = {
    re.Match: _match,
    memoryview: _memory,
    types.MappingProxyType: lambda proxy: (restore.mapping_proxy, (dict(proxy),)),
    type({}.keys()): lambda view: (restore.dict_view, ("keys", list(view))),
    type({}.values()): lambda view: (restore.dict_view, ("values", list(view))),
    type({}.items()): lambda view: (restore.dict_view, ("items", list(view))),
}
