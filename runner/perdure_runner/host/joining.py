"""A host of another machine: it joins once, with a token, and then shows a certificate that it renews in time."""

import asyncio
import base64
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from perdure_proto.v1.runner_pb2 import JoinRequest, JoinResponse, RenewRequest
from perdure_proto.v1.runner_pb2_grpc import HostsStub

from perdure_runner.host.dialling import CHANNEL_OPTIONS, Metadata, RefusedError
from perdure_runner.host.pinning import PinError, pinned_authority

IDENTITY = "identity.json"
_PREFIX = "pj."
_ANSWER_S = 20.0
_RENEW_AT = 2 / 3  # of a certificate's life
_LOOK_S = 60.0  # the clock is looked at this often: it jumps, and machines sleep
_RETRY_S = (1.0, 60.0)


class JoinError(Exception):
    """The host cannot join. `code` is perdure's, `help` says what to do."""

    def __init__(self, message: str, code: str = "P0216", help: str = "") -> None:  # noqa: A002 (the line it prints)
        super().__init__(message)
        self.code = code
        self.help = help or "`perdure hosts invite` makes a new join token"


class Invitation(NamedTuple):
    """What a join token carries."""

    address: str  # where to join
    hosts: str  # where to attach then
    authority: str  # fingerprint of the coordinator's CA
    invite_id: str
    secret: str
    host_id: str  # "": the host may choose

    @classmethod
    def parse(cls, token: str) -> Self:
        """Raises JoinError: it is no join token."""
        packed = token.strip().removeprefix(_PREFIX)
        try:
            said = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        except (ValueError, RecursionError):
            said = None
        match said:
            case [1, str(address), str(hosts), str(authority), str(invite_id), str(secret), str(host_id)]:
                return cls(address, hosts, authority, invite_id, secret, host_id)
        raise JoinError("this is no join token", help="it begins with `pj.` and is one line")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a host is known by. Keys and certificates are PEM; `until_us` is the end of the certificate."""

    host_id: str
    address: str  # where to attach
    authority: str
    key: str
    certificate: str
    since_us: int
    until_us: int

    @classmethod
    def load(cls, state_dir: Path) -> Self | None:
        """That of a host that has joined before. Raises JoinError when it is damaged."""
        path = state_dir / IDENTITY
        try:
            return cls(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise JoinError(f"{path} is damaged: {error}", help=f"remove it, and join again: {path}") from None

    @property
    def over(self) -> bool:
        """Has its certificate ended?"""
        return _now_us() >= self.until_us

    def save(self, state_dir: Path) -> None:
        """Whole or not at all, and its owner's only."""
        state_dir.mkdir(parents=True, exist_ok=True)
        draft = state_dir / f".{IDENTITY}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(file, "w", encoding="utf-8") as opened:
            json.dump(asdict(self), opened)
            opened.flush()
            os.fsync(file)
        draft.replace(state_dir / IDENTITY)


async def join(token: str, state_dir: Path, host_id: str = "") -> Identity:
    """Take up an invitation, once, and keep what came of it in `state_dir`.

    Raises:
        JoinError: the token will not do, or the coordinator refuses it.
        OSError: nobody answers, or the folder cannot be written.
    """
    invitation = Invitation.parse(token)
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        authority = await pinned_authority(invitation.address, invitation.authority)
    except PinError as error:
        raise JoinError(str(error)) from None
    request = JoinRequest(
        token=f"{invitation.invite_id}.{invitation.secret}", host_id=host_id or invitation.host_id, csr=_csr(key)
    )
    credentials = grpc.ssl_channel_credentials(root_certificates=authority)
    async with grpc.aio.secure_channel(invitation.address, credentials, options=CHANNEL_OPTIONS) as channel:
        stub: Any = HostsStub(channel)
        try:
            joined: JoinResponse = await stub.Join(request, timeout=_ANSWER_S)
        except grpc.aio.AioRpcError as error:
            raise _refused(error, invitation.address) from None
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    identity = Identity(
        host_id=joined.host_id,
        address=invitation.hosts,
        authority=authority.decode(),
        key=pem.decode(),
        certificate=joined.certificate.decode(),
        since_us=_now_us(),
        until_us=joined.expires_at_us,
    )
    identity.save(state_dir)
    return identity


class Joined:
    """The dialler of a host that has joined."""

    def __init__(self, identity: Identity, state_dir: Path, say: Callable[[str], None]) -> None:
        self._identity = identity
        self._state_dir = state_dir
        self._say = say

    async def dial(self) -> tuple[grpc.aio.Channel, Metadata]:
        identity = self._identity
        if identity.over:
            raise RefusedError(
                f"P0218: the certificate of host {identity.host_id} has ended; `perdure hosts invite --host "
                f"{identity.host_id}` makes a token to join again with"
            )
        credentials = grpc.ssl_channel_credentials(
            root_certificates=identity.authority.encode(),
            private_key=identity.key.encode(),
            certificate_chain=identity.certificate.encode(),
        )
        return grpc.aio.secure_channel(identity.address, credentials, options=CHANNEL_OPTIONS), ()

    async def keep(self, channel: grpc.aio.Channel) -> None:
        """Renew the certificate when two thirds of its life are over. The stream stays; the next dial shows it."""
        stub: Any = HostsStub(channel)
        pause_s = _RETRY_S[0]
        while True:
            if (left_s := self._until_renewal_s()) > 0:
                await asyncio.sleep(min(left_s, _LOOK_S))
                continue
            try:
                await self._renew(stub)
                pause_s = _RETRY_S[0]
            except (grpc.aio.AioRpcError, OSError) as error:
                why = error.details() if isinstance(error, grpc.aio.AioRpcError) else error
                self._say(f"the certificate was not renewed: {why}; trying again")
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 (spreads hosts, hides nothing)
                pause_s = min(_RETRY_S[1], 2 * pause_s)

    def _until_renewal_s(self) -> float:
        since, until = self._identity.since_us, self._identity.until_us
        return (since + _RENEW_AT * (until - since) - _now_us()) / 1e6

    async def _renew(self, stub: Any) -> None:
        key = serialization.load_pem_private_key(self._identity.key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        renewed: JoinResponse = await stub.Renew(RenewRequest(csr=_csr(key)), timeout=_ANSWER_S)
        self._identity = replace(
            self._identity,
            certificate=renewed.certificate.decode(),
            since_us=_now_us(),
            until_us=renewed.expires_at_us,
        )
        self._identity.save(self._state_dir)


def _csr(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A request for a certificate of this key. The coordinator chooses the name."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def _refused(error: grpc.aio.AioRpcError, address: str) -> JoinError:
    trailing: Any = error.trailing_metadata() or ()
    said = dict(trailing)
    if code := said.get("perdure-code"):
        return JoinError(error.details() or "", str(code), str(said.get("perdure-help", "")))
    return JoinError(f"the coordinator at {address} answered {error.code().name}: {error.details()}")


def _now_us() -> int:
    return time.time_ns() // 1000
