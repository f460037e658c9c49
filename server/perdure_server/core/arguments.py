"""Where the arguments of two calls differ: paths into them, with both values where they are known. Pure.

Two sources: the previews (`perdure_runner.child.values.preview`), which tell all about most calls and are taken apart
here; and, where they do not, the digests of parts that the runner added (`perdure_runner.child.divergence`).
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

ABSENT: Final = None
UNKNOWN: Final = ""
"""A value of which the journal has no text, only a digest."""
_MOST: Final = 5
_DIGEST_BYTES: Final = 4
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_ELIDED: Final = "..."


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. A side is the text of its value, `UNKNOWN`, or `ABSENT`."""

    path: str
    recorded: str | None
    called: str | None

    def __str__(self) -> str:
        return f"{self.path}: {_side(self.recorded, 'another value')} -> {_side(self.called, 'another value')}"


class Described(NamedTuple):
    """The arguments of one call: their preview and, if it does not tell all, `Entry.arg_digests`."""

    preview: str
    digests: Sequence[bytes] = ()


def changes(recorded: Described, called: Described) -> tuple[Change, ...]:
    """The first differences, at most five, in the order of the arguments; none where what is known does not tell."""
    digested = recorded.digests and called.digests
    found = _by_digest(recorded, called.digests) if digested else _by_text(recorded, called)
    sizes = [change for change in found if change.path.startswith("#")]
    values = [change for change in found if not change.path.startswith("#")]
    chosen = values or [Change(f"len({each.path[1:]})", each.recorded, each.called) for each in sizes]
    if not chosen and recorded.preview != called.preview:  # items in another order
        chosen = [Change("arguments", recorded.preview, called.preview)]
    return tuple(chosen[:_MOST])


def leaves(preview: str) -> dict[str, str]:
    """The innermost parts of a preview: their texts by their paths. What was cut off is left out."""
    return {path: text for path, (text, opened) in _values(preview).items() if not opened}


def _values(preview: str) -> dict[str, tuple[str, bool]]:
    """Text of every part by its path, containers before what they hold; and whether it is such a container."""
    number = 0
    found: dict[str, tuple[str, bool]] = {}
    for name, text in _items(preview):
        if name is None:
            found.update(_parts(f"args[{number}]", text))
            number += 1
        else:
            found.update(_parts(f"kwargs[{name!r}]", text))
    return found


def _by_text(recorded: Described, called: Described) -> list[Change]:
    """What a preview leaves out may be there all the same: then only parts that both have are compared."""
    old, new = _values(recorded.preview), _values(called.preview)
    paths = [path for path in new if path in old or _ELIDED not in recorded.preview]
    if _ELIDED not in called.preview:
        paths += [path for path in old if path not in new]
    found: list[Change] = []
    for path in paths:
        was, now = old.get(path), new.get(path)
        opened = was is not None and was[1] and now is not None and now[1]
        told = any(path.startswith((f"{change.path}[", f"{change.path}.")) for change in found)
        if was != now and not opened and not told:
            found.append(Change(path, was and was[0], now and now[0]))
    return found


def _by_digest(recorded: Described, called: Sequence[bytes]) -> list[Change]:
    old = {each[:_DIGEST_BYTES]: each[_DIGEST_BYTES : 2 * _DIGEST_BYTES] for each in recorded.digests}
    texts = leaves(recorded.preview)
    found: list[Change] = []
    new: set[bytes] = set()
    for each in called:
        place, value = each[:_DIGEST_BYTES], each[_DIGEST_BYTES : 2 * _DIGEST_BYTES]
        path, _, text = each[2 * _DIGEST_BYTES :].decode("utf-8", "replace").partition("\0")
        new.add(place)
        if place not in old:
            found.append(Change(path, texts.get(path, ABSENT), text))
        elif old[place] != value:
            found.append(Change(path, texts.get(path, UNKNOWN), text))
    gone = [path for path in texts if (place := _place(path)) in old and place not in new]
    return found + [Change(path, texts[path], ABSENT) for path in gone]


def _place(path: str) -> bytes:
    return crc32(path.encode("utf-8", "backslashreplace")).to_bytes(_DIGEST_BYTES, "big")


def _side(text: str | None, unknown: str) -> str:
    return "absent" if text is ABSENT else text or unknown


# --- the texts of previews --------------------------------------------------------------------------------------------


def _parts(path: str, text: str) -> Iterator[tuple[str, tuple[str, bool]]]:
    """One value and what is in it: lists, tuples, dicts and objects that show their fields are opened."""
    opening = text.find("(") if text[:1].isidentifier() else 0
    closed = opening >= 0 and len(text) > opening + 1 and text[-1] == _CLOSING.get(text[opening])
    begun = opening >= 0 and text[opening : opening + 1] in _CLOSING and text.endswith(_ELIDED)
    items = list(_items(text[opening + 1 : -1] if closed else text[opening + 1 :])) if closed or begun else []
    inner: list[tuple[str, str]] = []
    match text[:1]:
        case "[" | "(" if all(name is None for name, _ in items):
            inner = [(f"{path}[{index}]", item) for index, (_, item) in enumerate(items)]
        case "{" if all(_pair(item) for _, item in items):
            pairs = filter(None, (_pair(item) for _, item in items))
            inner = [(f"{path}[{key}]", value) for key, value in pairs]
        case first if first.isidentifier() and all(name for name, _ in items):
            inner = [(f"{path}.{name}", value) for name, value in items]
    if inner or not _cut(text, closed):
        yield path, (text, bool(inner))
    for place, value in inner:
        yield from _parts(place, value)


def _cut(text: str, closed: bool) -> bool:
    """Is it the beginning of a value only?"""
    return (text.endswith(_ELIDED) and not closed) or text.startswith(_ELIDED)


def _items(text: str) -> Iterator[tuple[str | None, str]]:
    """What stands between the commas of `text`, each with the name before its `=`, if it has one."""
    for item in _split(text, ","):
        if not item or item.startswith(_ELIDED):
            continue
        name, equals, value = item.partition("=")
        yield (name, value) if equals and name.isidentifier() else (None, item)


def _pair(item: str) -> tuple[str, str] | None:
    """Key and value of an item of a dict."""
    halves = list(_split(item, ":", 1))
    return (halves[0], halves[1]) if len(halves) == 2 and all(halves) else None


def _split(text: str, at: str, times: int = -1) -> Iterator[str]:
    """Split at a character that is in no brackets and in no text."""
    depth = start = index = 0
    while index < len(text):
        char = text[index]
        if char in "'\"":
            index = _end_of_text(text, index)
        elif char in "([{<":
            depth += 1
        elif char in ")]}>":
            depth -= 1
        elif char == at and depth <= 0 and times:
            yield text[start:index].strip()
            start, times = index + 1, times - 1
        index += 1
    yield text[start:].strip()


def _end_of_text(text: str, start: int) -> int:
    """The index of the quote that ends a text."""
    index = start + 1
    while index < len(text) and text[index] != text[start]:
        index += 2 if text[index] == "\\" else 1
    return index
