"""May a module of this text have an attribute of some name once it has run? Told by its words, true in doubt.

The text is user code: hostile, and never run here. Nor is it parsed: `ast.parse` of 1 MiB of `[],` takes 5 s and
530 MiB (measured on CPython 3.11 to 3.13), and by CPython's documentation there are texts that crash it. So this reads
words and indents, once, from the beginning to the end, and keeps nothing of what it has read.

A name counts where it stands at the top level of the module: not in functions and classes, but for `global`, not as
attribute, argument's name or part of a longer text. Whatever makes names as it runs puts all in doubt.
"""

from __future__ import annotations

import re
import string
import unicodedata
from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Final, NamedTuple

_MAKES_NAMES: Final = re.compile(
    rb"\bimport\s*\*|\b(?:globals|locals|modules|__dict__|f_globals|__globals__|vars|exec|eval|setattr)\b"
)
_OTHER_ENCODING: Final = re.compile(
    rb"\A(?:[^\r\n]*\r?\n)?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*(?!utf-?8|ascii|latin-1)", re.IGNORECASE
)
_TOKEN: Final = re.compile(
    rb"""(?P<space>[ \t\f]+|\\\r?\n|\\\r)
    |(?P<comment>\#[^\r\n]*)
    |(?P<end>\r\n|\r|\n)
    |(?P<quote>[A-Za-z]{0,2}(?:'''|\"\"\"|'|\"))
    |(?P<word>[A-Za-z_\x80-\xff][0-9A-Za-z_\x80-\xff]*)
    |(?P<bracket>[(\[{)\]}])
    |(?P<mark>:=|==|.)""",
    re.VERBOSE | re.DOTALL,
)
_REST: Final = {
    b"'''": re.compile(rb"((?:[^'\\]++|\\.|'(?!''))*+)'''", re.DOTALL),
    b'"""': re.compile(rb'((?:[^"\\]++|\\.|"(?!""))*+)"""', re.DOTALL),
    b"'": re.compile(rb"((?:[^'\\\r\n]++|\\.)*+)'", re.DOTALL),
    b'"': re.compile(rb'((?:[^"\\\r\n]++|\\.)*+)"', re.DOTALL),
}
_LETTERS: Final = string.ascii_letters.encode()
_FORMATS: Final = frozenset(b"fFtT")  # in what stands before a text in which code stands
_NOTHING: Final = frozenset({"space", "comment"})
_DEFINES: Final = frozenset({b"def", b"class"})
_TAB: Final = 8
_COOKIE_BYTES: Final = 500
MAX_BYTES: Final = 256 * 1024
"""Of longer ones any word counts: half a second is too long for a name that is wrong."""


class _UnclearError(Exception):
    """It is no Python as it is known here."""


class _Token(NamedTuple):
    kind: str  # "word", "text" (of a string), "mark", "end" (of a logical line)
    text: bytes = b""
    depth: int = 0  # brackets around it, or around code in it
    indent: int = 0  # of its logical line, in columns


_END: Final = _Token("end")


def can_have(source: bytes, name: str) -> bool:
    """Whether the module may have it. `name` is an identifier."""
    if not name.isascii() or _MAKES_NAMES.search(source) or _OTHER_ENCODING.search(source[:_COOKIE_BYTES]):
        return True
    somewhere = re.search(rb"\b" + name.encode() + rb"\b", source) is not None
    if len(source) > MAX_BYTES or not (somewhere or not source.isascii()):
        return somewhere
    try:
        return _binds(source, name.encode())
    except _UnclearError:
        return somewhere


def _binds(source: bytes, name: bytes) -> bool:
    word = re.compile(rb"\b" + name + rb"\b")
    scope: int | None = None  # indent of the definition at the top level that the line is in
    declared = False  # after `global`
    before = _END
    for token, then in pairwise(chain(_tokens(source), (_END,))):
        if before is _END:
            declared = False
            if scope is not None and token.indent <= scope:
                scope = None
        if token.kind == "word":
            same = _same(token.text, name)
            if scope is None and token.text in _DEFINES:
                scope = token.indent
                if then.kind == "word" and _same(then.text, name):
                    return True
            elif token.text == b"global":
                declared = True
            elif same and (declared or then.text == b":=" or (scope is None and not _is_inner(before, token, then))):
                return True
        elif token.kind == "text":
            # perhaps it is told to somebody who makes it
            if token.text == name or (scope is None and token.depth and word.search(token.text)):
                return True
        elif token.text == b";":
            declared = False
        before = token
    return False


def _is_inner(before: _Token, word: _Token, then: _Token) -> bool:
    """Is it an attribute, or the name of an argument?"""
    return before.text == b"." or (word.depth > 0 and then.text == b"=")


def _same(word: bytes, name: bytes) -> bool:
    """Python takes identifiers for the same that look alike (NFKC)."""
    if word.isascii():
        return word == name
    return unicodedata.normalize("NFKC", word.decode(errors="replace")) == name.decode()


def _tokens(source: bytes) -> Iterator[_Token]:
    depth = indent = 0
    begin = place = source.startswith(BOM_UTF8) * len(BOM_UTF8)  # of the physical line
    fresh = True  # nothing of the logical line has come yet
    while place < len(source):
        found = _TOKEN.match(source, place)
        assert found is not None
        start, kind, text, place = place, found.lastgroup or "", found[0], found.end()
        if kind in _NOTHING:
            continue
        if kind == "end":
            begin = place
            if not (depth or fresh):
                yield _END
                fresh = True
            continue
        if fresh:
            indent, fresh = _columns(source[begin:start]), False
        if kind == "quote":
            quote = text.lstrip(_LETTERS)
            rest = _REST[quote].match(source, place)
            if rest is None:
                raise _UnclearError
            inner = depth if _FORMATS.isdisjoint(text.removesuffix(quote)) else depth + 1
            yield _Token("text", rest[1], inner, indent)
            place = rest.end()
            continue
        if kind == "bracket":
            depth += 1 if text in b"([{" else -1
            if depth < 0:
                raise _UnclearError
        yield _Token(kind, text, depth, indent)
    if depth:
        raise _UnclearError


def _columns(space: bytes) -> int:
    return len(space.rpartition(b"\f")[2].expandtabs(_TAB))
