"""The keys that seal secrets: in `PERDURE_KEY`, or in a file of the home that only its owner can read.

A key is 32 random bytes, written in URL-safe base64. Several may be given: the first one seals, all of them open.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from perdure_server.core.errors import PerdureError
from perdure_server.store.home import sync_directory

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_VARIABLE: Final = "PERDURE_KEY"
KEY_FILE: Final = "secrets.key"
KEY_ID_BYTES: Final = 8
_KEY_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 64 * 1024
_HOW_TO: Final = "a key is 32 random bytes in base64: `openssl rand -base64 32` makes one"


@dataclass(frozen=True)
class Key:
    """One key. Its id, eight bytes of a digest, says which key sealed something and nothing of the key itself."""

    secret: bytes = field(repr=False)

    @classmethod
    def random(cls) -> Key:
        return cls(secrets.token_bytes(_KEY_BYTES))

    @classmethod
    def parse(cls, text: str, origin: str) -> Key:
        """From base64, URL-safe or not. P0220, which never shows the text, when it is no key."""
        try:
            secret = base64.b64decode(text.translate({45: "+", 95: "/"}), validate=True)
        except (ValueError, binascii.Error):
            secret = b""
        if len(secret) != _KEY_BYTES:
            raise PerdureError("P0220", f"{origin} holds something that is no key", help=_HOW_TO)
        return cls(secret)

    @cached_property
    def id(self) -> str:
        """In hex."""
        return hashlib.sha256(b"perdure key id\0" + self.secret).digest()[:KEY_ID_BYTES].hex()

    @cached_property
    def cipher(self) -> AESGCM:
        # Homes without secrets do not pay for the import.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self.secret)

    def text(self) -> str:
        return base64.urlsafe_b64encode(self.secret).decode()


@dataclass(frozen=True)
class KeyRing:
    """Keys, the one that seals first."""

    keys: tuple[Key, ...] = ()

    @classmethod
    def of(cls, home: Path, variable: str | None = None) -> KeyRing:
        """The keys of `variable` (the text of PERDURE_KEY), then those of the home's file. P0220: one is none."""
        given = [Key.parse(text, KEY_VARIABLE) for text in _words(variable or "")]
        return cls(tuple(dict.fromkeys([*given, *read(home / KEY_FILE)])))

    @property
    def first(self) -> Key | None:
        return self.keys[0] if self.keys else None

    @cached_property
    def by_id(self) -> dict[str, Key]:
        return {key.id: key for key in self.keys}


def read(path: Path) -> list[Key]:
    """The keys of a file, none when there is no file. P0220: others can read it, or something in it is no key."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PerdureError("P0220", f"{path} cannot be read: {error.strerror}") from None
    with open(file, "rb") as opened:
        if os.fstat(file).st_mode & 0o077:
            raise PerdureError("P0220", f"{path} can be read by others", help=f"chmod 600 {path}")
        text = opened.read(_MAX_FILE_BYTES).decode("ascii", "replace")
    keys = [Key.parse(word, str(path)) for word in _words(text)]
    if not keys:
        raise PerdureError("P0220", f"{path} is empty", help="put back the file from your backup")
    return keys


def write(path: Path, keys: Iterable[Key]) -> None:
    """Replace the file, whole or not at all; durable when this returns."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(file, "wb") as opened:
            opened.writelines(key.text().encode() + b"\n" for key in keys)
            opened.flush()
            os.fsync(file)
        draft.rename(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    sync_directory(path.parent)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]
