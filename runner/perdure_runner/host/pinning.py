"""From a fingerprint to a certificate: the CA of a coordinator, over a connection that is not trusted yet.

Tokens carry the sha256 of the CA's certificate. The server's own certificate says where its issuer's is (Authority
Information Access, RFC 5280 4.2.2.1), in a `data:` URI; what is found there is believed if it has the fingerprint.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

TIMEOUT_S = 10.0
_PREFIX = "data:application/pkix-cert;base64,"


class PinError(ConnectionError):
    """What answers is not who was meant. The message says why."""


async def pinned_authority(address: str, fingerprint: str, timeout_s: float = TIMEOUT_S) -> bytes:
    """Give the CA's certificate (PEM) of the coordinator at `HOST:PORT`, if its sha256 (hex) is `fingerprint`.

    Raises:
        PinError: another server answers, or none that speaks TLS.
        OSError, TimeoutError: nobody answers.
    """
    shown = await asyncio.wait_for(_shown(address), timeout_s)
    try:
        authority = _issuer(shown)
    except (ValueError, x509.ExtensionNotFound, binascii.Error):
        raise PinError(f"what answers at {address} is no coordinator of perdure") from None
    if not hmac.compare_digest(hashlib.sha256(authority).hexdigest(), fingerprint):
        raise PinError(f"what answers at {address} is not the coordinator that made the token")
    return x509.load_der_x509_certificate(authority).public_bytes(Encoding.PEM)


async def _shown(address: str) -> bytes:
    """The certificate (DER) that a server shows. Nothing of it is believed, and nothing is told to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except (ssl.SSLError, ConnectionResetError, ValueError) as error:
        raise PinError(f"what answers at {address} does not speak TLS: {error}") from None
    try:
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    return bytes(found or b"")


def _issuer(shown: bytes) -> bytes:
    extension = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(
        x509.AuthorityInformationAccess
    )
    for access in extension.value:
        if access.access_method == AuthorityInformationAccessOID.CA_ISSUERS:
            place = str(access.access_location.value)
            if place.startswith(_PREFIX):
                return base64.b64decode(place.removeprefix(_PREFIX), validate=True)
    raise ValueError("no issuer")
