"""multipart/form-data, from bytes that are all there. Pure, and bounded; what is no such thing has no fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MAX_PARTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class File:
    """`name` is that of its field."""

    name: str
    filename: str
    content_type: str
    content: bytes


@dataclass(slots=True)
class Form:
    """In the order of their parts."""

    fields: list[tuple[str, bytes]] = field(default_factory=list)
    files: list[File] = field(default_factory=list)


class _TooManyPartsError(Exception):
    """More than MAX_PARTS."""


def parse(body: bytes, boundary: bytes) -> Form:
    """All or nothing: a form that is damaged is empty."""
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks(), max_header_count=32)  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except (FormParserError, _TooManyPartsError):
        return Form()
    return collector.form if collector.ended else Form()


class _Collector:
    """What the parser tells, part by part."""

    def __init__(self) -> None:
        self.form = Form()
        self.ended = False
        self._parts = 0
        self._headers: dict[bytes, bytes] = {}
        self._name = bytearray()
        self._value = bytearray()
        self._content = bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._into("_name"),
            "on_header_value": self._into("_value"),
            "on_header_end": self._header,
            "on_part_data": self._into("_content"),
            "on_part_end": self._end,
            "on_end": self._whole,
        }

    def _into(self, buffer: str) -> object:
        def collect(data: bytes, start: int, end: int) -> None:
            getattr(self, buffer).extend(data[start:end])

        return collect

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _TooManyPartsError
        self._headers = {}
        self._content = bytearray()

    def _header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            return
        name = _text(options[b"name"])
        if b"filename" in options:
            kind = _text(self._headers.get(b"content-type", b"application/octet-stream"))
            self.form.files.append(File(name, _text(options[b"filename"]), kind, bytes(self._content)))
        else:
            self.form.fields.append((name, bytes(self._content)))

    def _whole(self) -> None:
        self.ended = True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
