"""How services sign what they send to connections, and the values of connections that it is checked with."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DISCORD = Ed25519PrivateKey.generate()
PUBLIC = DISCORD.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
SECRETS = {
    "slack": {"token": "xoxb", "signing_secret": "slack-secret"},
    "github": {"token": "ghp", "webhook_secret": "hub-secret"},
    "discord": {"token": "bot", "public_key": PUBLIC},
    "stripe": {"webhook_secret": "whsec"},
    "generic": {"webhook_secret": "any-secret"},
}


def hexed(secret: str, *parts: bytes) -> str:
    return hmac.new(secret.encode(), b"".join(parts), hashlib.sha256).hexdigest()


def _slack(body: bytes, at: str) -> dict[str, str]:
    signature = f"v0={hexed('slack-secret', b'v0:', at.encode(), b':', body)}"
    return {"x-slack-request-timestamp": at, "x-slack-signature": signature}


def _discord(body: bytes, at: str) -> dict[str, str]:
    return {"x-signature-timestamp": at, "x-signature-ed25519": DISCORD.sign(at.encode() + body).hex()}


SIGN: dict[str, Callable[[bytes, str], dict[str, str]]] = {
    "slack": _slack,
    "github": lambda body, _: {"x-hub-signature-256": f"sha256={hexed('hub-secret', body)}"},
    "discord": _discord,
    "stripe": lambda body, at: {"stripe-signature": f"t={at},v1={hexed('whsec', at.encode(), b'.', body)}"},
    "generic": lambda body, _: {"x-signature-256": f"sha256={hexed('any-secret', body)}"},
}
"""By the kind of the connection: headers for a body, at this time (Unix, in seconds)."""
