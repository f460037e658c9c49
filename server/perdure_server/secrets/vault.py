"""`Vault`: seals and opens what is secret at rest, with AES-256-GCM.

Sealed data is MAGIC, the key's id, a random nonce, and the ciphertext with its tag. What it belongs to (`about`) is
authenticated with it: a sealed value that is moved to another name, project or deployment does not open there.

With random nonces of 96 bits one key may seal 2**32 messages (NIST SP 800-38D, 8.3); `rotate` begins a new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from perdure_server.core.errors import PerdureError
from perdure_server.secrets import keys
from perdure_server.secrets.keys import KEY_FILE, KEY_ID_BYTES, KEY_VARIABLE, Key, KeyRing

# No JSON and no pickle begins with a zero byte: a payload of the journal tells by itself whether it is sealed.
MAGIC: Final = b"\0pS1"
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = len(MAGIC) + KEY_ID_BYTES + _NONCE_BYTES


def is_sealed(data: bytes) -> bool:
    return data.startswith(MAGIC)


class Vault:
    """The keys of a home at work. Sealing and opening may be done in any thread."""

    def __init__(self, ring: KeyRing, path: Path | None = None, *, given: bool = False) -> None:
        """`path`: of the key file; None keeps a key that has to be made in memory. `given`: the first key is not the
        file's."""
        self._ring = ring
        self._path = path
        self._given = given

    @classmethod
    def open(cls, home: Path, environment: Mapping[str, str] = os.environ) -> Vault:
        """The vault of a home. P0220 when a key is none, or the file can be read by others."""
        variable = environment.get(KEY_VARIABLE)
        return cls(KeyRing.of(home, variable), home / KEY_FILE, given=bool(variable))

    @classmethod
    def in_memory(cls) -> Vault:
        return cls(KeyRing())

    @property
    def key_id(self) -> str:
        """Of the key that seals; empty while there is none."""
        return self._ring.first.id if self._ring.first else ""

    def require(self, ids: Iterable[str]) -> None:
        """P0220 unless the keys of all these ids are here."""
        missing = sorted(set(ids) - self._ring.by_id.keys())
        if missing:
            where = f"{self._path} and {KEY_VARIABLE}" if self._path else KEY_VARIABLE
            raise PerdureError(
                "P0220",
                f"secrets of this home are sealed with key {', '.join(missing)}, which is not in {where}",
                help="put the key back; nothing is lost, and nothing was changed",
            )

    def make_ready(self) -> str:
        """See to it that there is a key to seal with, and give its id. Blocks on the disk when one has to be made."""
        if self._ring.first is None:
            self._begin(Key.random())
        return self.key_id

    def rotate(self) -> str:
        """Begin a new key in the file, and give its id; with PERDURE_KEY its first key is the new one already."""
        if not self._given:
            self._begin(Key.random())
        return self.key_id

    def seal(self, data: bytes, about: bytes) -> bytes:
        """`make_ready` must have been called."""
        key = self._ring.first
        assert key is not None
        nonce = os.urandom(_NONCE_BYTES)
        return MAGIC + bytes.fromhex(key.id) + nonce + key.cipher.encrypt(nonce, data, about)

    def unseal(self, sealed: bytes, about: bytes) -> bytes:
        """P0220 when its key is not here, P0209 when it is damaged or belongs to something else."""
        from cryptography.exceptions import InvalidTag

        key_id, nonce = sealed[len(MAGIC) : len(MAGIC) + KEY_ID_BYTES], sealed[len(MAGIC) + KEY_ID_BYTES : _HEAD_BYTES]
        if not is_sealed(sealed) or len(nonce) < _NONCE_BYTES:
            raise PerdureError("P0209", "something that should be sealed is not")
        self.require([key_id.hex()])
        try:
            return self._ring.by_id[key_id.hex()].cipher.decrypt(nonce, sealed[_HEAD_BYTES:], about)
        except InvalidTag:
            raise PerdureError("P0209", "a sealed value is damaged, or belongs to something else") from None

    def _begin(self, key: Key) -> None:
        ring = KeyRing((key, *self._ring.keys))
        if self._path is not None:
            keys.write(self._path, ring.keys)
        self._ring = ring
