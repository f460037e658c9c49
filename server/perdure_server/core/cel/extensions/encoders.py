"""cel-go's ext/encoders.go: Base64."""

from __future__ import annotations

import binascii
from typing import Final

from perdure_server.core.cel.calls import BYTES, STRING, Function, of_text
from perdure_server.core.cel.run import Fault

_LINES: Final = str.maketrans("", "", "\r\n")
_STEP_CHARS: Final = 16


def _decode(text: str) -> bytes:
    """With padding or without; ends of lines between are skipped, as Go does."""
    bare = text.translate(_LINES)
    padding = "" if "=" in bare else "=" * (-len(bare) % 4)
    try:
        return binascii.a2b_base64(bare + padding, strict_mode=True)
    except ValueError:
        raise Fault("it is no Base64") from None


def _encode(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


FUNCTIONS: Final[dict[str, Function]] = {
    "base64.decode": Function(of_text(_decode, _STEP_CHARS), (STRING,)),
    "base64.encode": Function(of_text(_encode, _STEP_CHARS), (BYTES,)),
}
