"""A host of another machine: it joins once, with a token, and then shows a certificate that it renews in time."""

import asyncio
import base64
import datetime as dt
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

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
SKEW: Final = dt.timedelta(minutes=5)
"""How long before it was made a certificate begins: clocks of machines differ."""

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
    """What a host is known by. Keys and certificates are PEM.

    `since_us` and `until_us` are the certificate's life by this machine's own clock, which may be wrong.
    """

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
    def age_us(self) -> int:
        """How old its certificate is. Negative: the clock was put back."""
        return _now_us() - self.since_us

    @property
    def life_us(self) -> int:
        return self.until_us - self.since_us

    @property
    def over(self) -> bool:
        """Has its certificate ended?"""
        return self.age_us >= self.life_us

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
    since_us, until_us = _life(joined.certificate)
    identity = Identity(
        host_id=joined.host_id,
        address=invitation.hosts,
        authority=authority.decode(),
        key=pem.decode(),
        certificate=joined.certificate.decode(),
        since_us=since_us,
        until_us=until_us,
    )
    identity.save(state_dir)
    return identity


class Joined:
    """The dialler of a host that has joined."""

    def __init__(self, identity: Identity, state_dir: Path, say: Callable[[str], None]) -> None:
        self._identity = identity
        self._state_dir = state_dir
        self._say = say
        self._renewed_s: float | None = None  # when it was by this process, on a clock that nobody sets

    async def dial(self) -> tuple[grpc.aio.Channel, Metadata]:
        identity = self._identity
        if self._age_us() >= identity.life_us:
            raise RefusedError(
                f"P0218: the certificate of host {identity.host_id} ended at {_said(identity.until_us)}, and this "
                f"machine's clock says {_said(_now_us())}; if that is right, `perdure hosts invite --host "
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
        age_us = self._age_us()
        return (_RENEW_AT * self._identity.life_us - age_us) / 1e6 if age_us >= 0 else 0.0

    def _age_us(self) -> int:
        """How old the certificate is: by a clock that nobody sets, if it came to this process."""
        return self._identity.age_us if self._renewed_s is None else int((_running_s() - self._renewed_s) * 1e6)

    async def _renew(self, stub: Any) -> None:
        key = serialization.load_pem_private_key(self._identity.key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        asked_s = _running_s()
        renewed: JoinResponse = await stub.Renew(RenewRequest(csr=_csr(key)), timeout=_ANSWER_S)
        since_us, until_us = _life(renewed.certificate)
        certificate = renewed.certificate.decode()
        self._identity = replace(self._identity, certificate=certificate, since_us=since_us, until_us=until_us)
        self._renewed_s = asked_s
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
    clock = f"is it there, and is this machine's clock right? It says {_said(_now_us())}"
    unheard = error.code() is grpc.StatusCode.UNAVAILABLE
    answer = f"the coordinator at {address} answered {error.code().name}: {error.details()}"
    return JoinError(answer, help=clock if unheard else "")


def _life(certificate: bytes) -> tuple[int, int]:
    """From when to when a certificate that came just now lasts, on this machine's clock.

    How long that is depends on the coordinator's clock alone, so a host whose own is wrong renews in time, too.
    """
    shown = x509.load_pem_x509_certificate(certificate)
    life = shown.not_valid_after_utc - shown.not_valid_before_utc - SKEW
    now_us = _now_us()
    return now_us, now_us + max(1, round(life.total_seconds())) * 1_000_000


def _said(moment_us: int) -> str:
    return dt.datetime.fromtimestamp(moment_us // 1_000_000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _now_us() -> int:
    return time.time_ns() // 1000


def _running_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
