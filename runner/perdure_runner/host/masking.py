"""Values of secrets, hidden wherever a session's frames show them to people: by value, in every form they often take.

Identities (lanes, names of functions and signals, digests) stay as they are, for replay decides by them. A recorded
value is bytes for the runner alone; the coordinator seals it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

from perdure_proto.v1 import runner_pb2 as runner

from perdure_runner.frames import Header

MASK: Final = "***"
# What is shorter appears in too much that is no secret.
SHORTEST: Final = 4
_LINE: Final = 8  # characters of a line of a longer secret that is masked by itself
_DEPTH: Final = 8  # of a header; what is deeper is in no valid frame
_HEX: Final = 16  # characters of the digests before an argument's preview
_CUT: Final = ("...", "\N{HORIZONTAL ELLIPSIS}", " ...[cut]")
# Not for people, or decided by.
_KEPT: Final = frozenset({"t", "lane", "fn", "dig", "mac", "name", "names", "state"})


class Masker:
    """Masks a fixed set of values, one or more, none shorter than SHORTEST.

    Costs a search per form and text where there is nothing to hide.
    """

    def __init__(self, values: Iterable[str]) -> None:
        found = {form for value in values for form in _forms(value.strip()) if len(form) >= SHORTEST}
        self._forms = tuple(sorted(found, key=len, reverse=True))
        self._pattern = re.compile("|".join(map(re.escape, self._forms)))
        heads = {form[:SHORTEST] for form in self._forms}
        self._cut = re.compile(f"(?:{'|'.join(map(re.escape, sorted(heads)))})")

    @classmethod
    def of(cls, start: runner.Start) -> Masker | None:
        """For the secrets of a session; None when it has none."""
        values = [start.vars[name] for name in start.secrets if name in start.vars]
        values = [value for value in values if len(value.strip()) >= SHORTEST]
        return cls(values) if values else None

    def text(self, text: str) -> str:
        """The text without them, and without the beginning of one where the text was cut."""
        if any(form in text for form in self._forms):
            text = self._pattern.sub(MASK, text)
        for mark in _CUT:
            if mark in text:
                *before, after = text.split(mark)
                text = mark.join([*map(self._without_head, before), after])
        return text

    def header(self, header: Header) -> Header:
        """A frame's header without them."""
        return self._object(header, 0)

    def done(self, header: Header, payload: bytes) -> tuple[Header, bytes]:
        """A `done` frame, already masked by `header`: a result in JSON is for people, too."""
        if header.get("enc") != 1 or not payload:
            return header, payload
        masked = self._json(payload)
        if masked == payload:
            return header, payload
        # The runner's digest is that of the whole value, which nobody can have back.
        kept = {key: value for key, value in header.items() if key != "mac"}
        return kept | {"size": len(masked)}, masked

    def _object(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        return {key: value if key in _KEPT else self._value(key, value, depth) for key, value in fields.items()}

    def _value(self, key: str, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if depth >= _DEPTH or kind not in {dict, list}:
            return value
        if key == "dga":
            return [self._argument(each) for each in value]
        if kind is dict:
            return self._object(value, depth + 1)
        return [self._value("", each, depth + 1) for each in value]

    def _argument(self, digest: Any) -> Any:
        """Digests in hex; in a divergence followed by a path and the preview of what is there."""
        if type(digest) is not str or len(digest) <= _HEX:
            return digest
        try:
            text = bytes.fromhex(digest[_HEX:]).decode()
        except ValueError:
            return digest
        return digest[:_HEX] + self.text(text).encode().hex()

    def _json(self, data: bytes) -> bytes:
        try:
            text = data.decode()
            if not any(form in text for form in self._forms):
                return data
            value = self._plain(json.loads(text))
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        except (ValueError, RecursionError):
            return json.dumps(MASK).encode()

    def _plain(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self._plain(each) for key, each in value.items()}
            case list():
                return [self._plain(each) for each in value]
            case int() | float() if self._pattern.search(json.dumps(value)):
                return MASK
        return value

    def _without_head(self, text: str) -> str:
        """What comes before a cut, without a beginning of a secret at its end."""
        for match in self._cut.finditer(text):
            tail = text[match.start() :]
            if any(form.startswith(tail) for form in self._forms):
                return text[: match.start()] + MASK
        return text


def _forms(value: str) -> Iterator[str]:
    """The value as it is printed, quoted and encoded, and each of its longer lines."""
    yield value
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= _LINE)
    data = value.encode()
    yield from _quoted(value)
    yield from (repr(data)[2:-1], data.hex(), data.hex().upper())
    for encoded in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    yield from _base64(data)


def _quoted(value: str) -> Iterator[str]:
    """As repr writes it between either quotes, and JSON."""
    inner = repr(value + "\"'")[1:-1]  # both quotes: the single one is escaped
    yield inner[: -len("\"\\'")]
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]


def _base64(data: bytes) -> Iterator[str]:
    """What of it appears in base64 of anything that holds it: the characters that no neighbour has a part in."""
    for before in range(3):
        first = (before * 8 + 5) // 6
        last = (before + len(data)) * 8 // 6
        standard = base64.b64encode(bytes(before) + data).decode()[first:last]
        yield standard
        yield standard.translate({ord("+"): "-", ord("/"): "_"})
