"""The certificate authority of a home: it signs the server's own certificate and those of hosts.

EC P-256 throughout: what TLS stacks agree on, and signing takes 0.2 ms. The key never leaves HOME/ca (0700, 0600).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from perdure_runner.host.joining import SKEW

from perdure_server.core.errors import PerdureError
from perdure_server.store.home import create_private

FOLDER: Final = "ca"
AUTHORITY_YEARS: Final = 20
SERVER_DAYS: Final = 30
MAX_CSR_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What a TLS server shows: PEM, and the end of its validity."""

    key: bytes
    chain: bytes
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """PEM; `key_digest` is the sha256 of the public key."""

    certificate: bytes
    key_digest: bytes
    expires_us: int


class Authority:
    """`certificate` is the CA's own in PEM, `fingerprint` the sha256 of it (DER) in hex."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._own = certificate
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        self.fingerprint = hashlib.sha256(_der(certificate)).hexdigest()

    @classmethod
    def of(cls, home: Path) -> Authority:
        """That of a home, made on first use. Raises `PerdureError` P0209 when it is damaged."""
        folder = home / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / "authority.pem"
        if not path.exists():
            create_private(path, _make())
        content = path.read_bytes()
        try:
            key = serialization.load_pem_private_key(content, None)
            certificate = x509.load_pem_x509_certificate(content)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise PerdureError("P0209", f"{path} is damaged: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or _digest(key.public_key()) != _digest(
            certificate.public_key()
        ):
            raise PerdureError("P0209", f"{path} is damaged: its key is not that of its certificate")
        return cls(key, certificate)

    def for_server(self, names: Sequence[str], now: dt.datetime) -> ServerCertificate:
        """A new key and certificate for a server that is dialled as `names` (DNS names, IP addresses)."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = now + dt.timedelta(days=SERVER_DAYS)
        # A client that knows only the CA's fingerprint has to get its certificate from somewhere: from here.
        issuer = "data:application/pkix-cert;base64," + base64.b64encode(_der(self._own)).decode()
        certificate = (
            self._builder("perdure coordinator", key.public_key(), now, until)
            .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityInformationAccess(
                    [
                        x509.AccessDescription(
                            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer)
                        )
                    ]
                ),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return ServerCertificate(_private(key), certificate.public_bytes(serialization.Encoding.PEM), until)

    def for_host(self, request: bytes, host_id: str, now: dt.datetime, valid_s: float) -> HostCertificate:
        """Sign a host's request (PKCS#10, PEM): of it, only the key counts. Raises `PerdureError` P0216."""
        key = requested_key(request)
        until = now + dt.timedelta(seconds=valid_s)
        certificate = (
            self._builder(host_id, key, now, until)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        return HostCertificate(pem, _digest(key), int(until.timestamp() * 1e6))

    def _builder(
        self, name: str, key: ec.EllipticCurvePublicKey, now: dt.datetime, until: dt.datetime
    ) -> x509.CertificateBuilder:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _certificate(name, key, now, until)
            .issuer_name(self._own.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(authority, critical=False)
        )


def requested_key(request: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a certificate request that whoever sent it holds the private half of. P0216 otherwise."""
    if len(request) > MAX_CSR_BYTES:
        raise PerdureError("P0216", f"the certificate request has {len(request)} bytes, more than {MAX_CSR_BYTES}")
    try:
        parsed = x509.load_pem_x509_csr(request)
        key = parsed.public_key()
        valid = parsed.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise PerdureError("P0216", f"the certificate request cannot be read: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1) or not valid:
        raise PerdureError("P0216", "the certificate request is not signed with an EC P-256 key of its own")
    return key


def key_digest(certificate: bytes) -> bytes:
    """sha256 of the public key of a certificate in PEM that TLS has checked."""
    return _digest(x509.load_pem_x509_certificate(certificate).public_key())


def _make() -> bytes:
    """A new key and its certificate, in one file, so that they are never of two."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = (
        _certificate("perdure home", key.public_key(), now, now + dt.timedelta(days=365 * AUTHORITY_YEARS))
        .issuer_name(_subject("perdure home"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS, critical=True)
        .sign(key, hashes.SHA256())
    )
    return _private(key) + certificate.public_bytes(serialization.Encoding.PEM)


_SIGNS: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _certificate(
    name: str, key: ec.EllipticCurvePublicKey, now: dt.datetime, until: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode())


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _digest(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    info = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).digest()
