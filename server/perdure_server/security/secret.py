"""Secrets that are shown once, and the texts that carry them.

A secret is 256 random bits, so its plain SHA-256 is kept: stretching and salts make guessing of what people choose
expensive, and nobody guesses these.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from typing import Final, NamedTuple

_BYTES: Final = 32
_TOKEN: Final = re.compile(r"pt\.([a-z0-9]{1,32})\.([A-Za-z0-9_-]{43})(?:\.([0-9a-f]{64}))?")
JOIN_PREFIX: Final = "pj."


def new_secret() -> str:
    """256 random bits, base64url."""
    return secrets.token_urlsafe(_BYTES)


def new_id() -> str:
    """The public half: what lists show, and what revoking takes."""
    return secrets.token_hex(6)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, kept: bytes) -> bool:
    """In a time that says nothing of where they differ."""
    return hmac.compare_digest(digest(secret), kept)


class TokenText(NamedTuple):
    """A token as its holder has it. `authority` is the fingerprint of the CA of a server with TLS, else empty."""

    token_id: str
    secret: str
    authority: str = ""

    def __str__(self) -> str:
        return ".".join(part for part in ("pt", *self) if part)

    @staticmethod
    def parse(text: str) -> TokenText | None:
        """None: it is no token."""
        found = _TOKEN.fullmatch(text)
        return TokenText(found[1], found[2], found[3] or "") if found else None


class JoinText(NamedTuple):
    """A join token: all that a host needs. Its other half is `perdure_runner.host.joining`."""

    address: str  # where to join
    hosts: str  # where to attach then
    authority: str  # fingerprint of the CA
    invite_id: str
    secret: str
    host_id: str  # "": the host may choose

    def __str__(self) -> str:
        packed = json.dumps([1, *self], separators=(",", ":")).encode()
        return JOIN_PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @staticmethod
    def parse_credential(text: str) -> tuple[str, str] | None:
        """What a host presents, `ID.SECRET`, of the token it was given; None: it is none."""
        invite_id, _, secret = text.partition(".")
        return (invite_id, secret) if invite_id and secret and len(text) < 200 else None
