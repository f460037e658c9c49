"""Who has sent a webhook: signatures by a secret that sender and trigger share. Pure.

Sources of the schemes: GitHub, "Validating webhook deliveries"; Slack, "Verifying requests from Slack" (v0);
Stripe, "Verify webhook signatures manually" (v1); Discord, "Interactions: security and authorization" (Ed25519).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from perdure_server.core.errors import PerdureError
from perdure_server.manifest.triggers import Signature
from perdure_server.web.webhook import Request

Check = Callable[[Signature, bytes, Request, float], None]

ALGORITHMS: Final = frozenset({"sha1", "sha256", "sha512"})
_MOST_SIGNATURES: Final = 16  # of one Stripe header: each costs a comparison


def verify(signature: Signature, secret: str, request: Request, now_s: float) -> None:
    """Raises P0225 unless `request` is signed with `secret` at about `now_s` (Unix time), as `signature` says."""
    if not secret:
        _wrong("there is no secret to check it with")
    _CHECKS[signature.kind](signature, secret.encode(), request, now_s)


def _github(_signature: Signature, secret: bytes, request: Request, _now_s: float) -> None:
    given = _header(request, "x-hub-signature-256")
    _same(f"sha256={_hex(secret, request.body)}", given)


def _slack(signature: Signature, secret: bytes, request: Request, now_s: float) -> None:
    given = _header(request, "x-slack-signature")
    at = _header(request, "x-slack-request-timestamp")
    _in_time(at, now_s, signature.tolerance_s)
    _same(f"v0={_hex(secret, b':'.join((b'v0', at.encode(), request.body)))}", given)


def _stripe(signature: Signature, secret: bytes, request: Request, now_s: float) -> None:
    parts = [part.strip().partition("=") for part in _header(request, "stripe-signature").split(",")]
    at = next((value for name, _, value in parts if name == "t"), "")
    given = [value for name, _, value in parts if name == "v1"][:_MOST_SIGNATURES]
    _in_time(at, now_s, signature.tolerance_s)
    expected = _hex(secret, at.encode() + b"." + request.body)
    if not any(_equal(expected, each) for each in given):
        _wrong("no v1 signature of its header is right")


def _discord(signature: Signature, secret: bytes, request: Request, now_s: float) -> None:
    """The secret is the application's public key, in hex."""
    at = _header(request, "x-signature-timestamp")
    _in_time(at, now_s, signature.tolerance_s)
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(secret.decode()))
        key.verify(bytes.fromhex(_header(request, "x-signature-ed25519")), at.encode() + request.body)
    except (ValueError, InvalidSignature):
        _wrong("its Ed25519 signature is not right")


def _generic(signature: Signature, secret: bytes, request: Request, _now_s: float) -> None:
    given = _header(request, signature.header)
    if not given.startswith(signature.prefix):
        _wrong(f"its header {signature.header} does not begin with {signature.prefix!r}")
    given = given.removeprefix(signature.prefix)
    digest = hmac.digest(secret, request.body, _algorithm(signature))
    if signature.encoding == "base64":
        _same(base64.b64encode(digest).decode(), given)
    else:
        _same(digest.hex(), given)


_CHECKS: Final[Mapping[str, Check]] = {
    "github": _github,
    "slack": _slack,
    "stripe": _stripe,
    "discord": _discord,
    "generic": _generic,
}


def _header(request: Request, name: str) -> str:
    value = request.header(name)
    if not value:
        _wrong(f"it has no header {name}")
    return value


def _algorithm(signature: Signature) -> str:
    if signature.algorithm not in ALGORITHMS:
        _wrong(f"the trigger's algorithm {signature.algorithm!r} is unknown")
    return signature.algorithm


def _hex(secret: bytes, message: bytes) -> str:
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _equal(expected: str, given: str) -> bool:
    """In a time that says nothing of where they differ."""
    return hmac.compare_digest(expected.encode(), given.strip().encode("utf-8", "replace"))


def _same(expected: str, given: str) -> None:
    if not _equal(expected, given):
        _wrong("its signature is not right")


def _in_time(at: str, now_s: float, tolerance_s: float) -> None:
    """A signature of another time may have been recorded, and sent again."""
    if not (at.isascii() and at.isdecimal() and len(at) < 16):
        _wrong("it does not say when it was signed")
    if abs(now_s - int(at)) > tolerance_s:
        _wrong(f"it was signed more than {tolerance_s:g} s ago, or by a clock that is ahead")


def _wrong(why: str) -> NoReturn:
    raise PerdureError("P0225", f"the request is refused: {why}")
