"""Hosts of other machines: invited once, then known by their key, with a certificate that they renew.

A host's name is its certificate's. Its row holds the digest of its public key: a host that is revoked, or whose name
another one was invited to take, is not let in, although its old certificate is still valid.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from perdure_server.core.errors import PerdureError
from perdure_server.security import secret
from perdure_server.store import InviteRow, JoinedHost, Mutation, Store, Transaction

if TYPE_CHECKING:
    from perdure_server.security.authority import Authority, HostCertificate

DAY_S: Final = 86_400.0
MAX_INVITE_S: Final = 7 * DAY_S
MAX_OPEN_INVITES: Final = 1_000
HOST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")  # fits a certificate's common name (64)
_GRACE_US: Final = 5_000_000  # what a stream may outlive its host's certificate


class Joining:
    """Invitations, and the hosts that took them up. `authority` is None where no host can join."""

    def __init__(
        self, store: Store, authority: Authority | None, now_us: Callable[[], int], certificate_valid_s: float = DAY_S
    ) -> None:
        self._store = store
        self._authority = authority
        self._now_us = now_us
        self._valid_s = certificate_valid_s
        self._hosts = {row.host_id: row for row in store.joined_hosts()}
        self.cut: Callable[[str, str], None] = lambda _host_id, _reason: None
        """Called with a host's name and the reason when it is to be let in no more."""

    # People.

    async def invite(self, valid_s: float, host_id: str, address: str, hosts: str) -> tuple[str, int]:
        """A join token, and when it ends (Unix time in us). A named host may take the place of one of this name.

        Raises P0217 without TLS, P0103 for a name or a time that will not do.
        """
        authority = self._with_tls()
        if host_id and not HOST_ID.fullmatch(host_id):
            raise PerdureError("P0103", f"{host_id[:80]!r} is no host's name", help="letters, digits and _ . -")
        if not 0 < valid_s <= MAX_INVITE_S:
            raise PerdureError("P0103", f"an invitation is valid for at most {MAX_INVITE_S / DAY_S:g} days")
        made, now_us = secret.new_secret(), self._now_us()
        row = InviteRow(secret.new_id(), secret.digest(made), host_id, now_us, now_us + int(valid_s * 1e6))

        def write(transaction: Transaction) -> None:
            transaction.drop_invites(now_us)
            if len(transaction.invites()) >= MAX_OPEN_INVITES:
                raise PerdureError("P0221", f"{MAX_OPEN_INVITES} invitations are open already")
            transaction.put_invite(row)

        await self._store.commit(Mutation(write))
        text = secret.JoinText(address, hosts, authority.fingerprint, row.invite_id, made, host_id)
        return str(text), row.expires_us

    async def revoke(self, host_id: str) -> bool:
        """Let the host in no more, and cut its link. False when none of this name has joined."""
        known = self._hosts.pop(host_id, None) is not None
        if known:
            self.cut(host_id, "the host was revoked")
            await self._store.commit(Mutation(lambda transaction: transaction.delete_host(host_id)))
        return known

    def hosts(self) -> list[JoinedHost]:
        return sorted(self._hosts.values(), key=lambda row: (row.joined_us, row.host_id))

    # Hosts.

    async def join(self, credential: str, host_id: str, request: bytes) -> tuple[str, HostCertificate]:
        """Take up an invitation, once: the host's name and its first certificate. Raises P0216, P0217."""
        authority = self._with_tls()
        if host_id and not HOST_ID.fullmatch(host_id):
            raise PerdureError("P0216", f"{host_id[:80]!r} is no host's name", help="letters, digits and _ . -")
        now_us = self._now_us()
        # Nothing is signed for strangers, and the invitation of one who sends nonsense is not used up.
        invite = _open(await asyncio.to_thread(self._store.invites), credential, now_us)
        if invite.host_id and host_id and invite.host_id != host_id:
            raise _refused(f"the join token is for host {invite.host_id}, not {host_id}")
        name = invite.host_id or host_id or f"host-{secrets.token_hex(4)}"
        signed = authority.for_host(request, name, _utc(now_us), self._valid_s)
        row = JoinedHost(name, signed.key_digest, now_us, signed.expires_us)

        def take(transaction: Transaction) -> None:
            """In one transaction of the only writer: of two that come with one token, one gets in."""
            _open(transaction.invites(), credential, now_us)
            if not invite.host_id and any(other.host_id == name for other in transaction.joined_hosts()):
                raise _refused(f"there is a host {name} already")
            transaction.delete_invite(invite.invite_id)
            transaction.put_host(row)

        await self._store.commit(Mutation(take))
        if name in self._hosts:
            self.cut(name, "another host was invited to take its name")
        self._hosts[name] = row
        return name, signed

    async def renew(self, host_id: str, request: bytes) -> HostCertificate:
        """A new certificate for the key of a host that was let in. Raises P0216, P0218."""
        row = self._hosts.get(host_id)
        if row is None:
            raise _unknown(host_id)
        signed = self._with_tls().for_host(request, host_id, _utc(self._now_us()), self._valid_s)
        if signed.key_digest != row.key_digest:
            raise PerdureError("P0216", f"host {host_id} asks to renew its certificate with another key")
        renewed = JoinedHost(host_id, row.key_digest, row.joined_us, signed.expires_us)
        await self._store.commit(Mutation(lambda transaction: transaction.put_host(renewed)))
        self.admit(host_id, row.key_digest)  # still: it may have been revoked meanwhile
        self._hosts[host_id] = renewed
        return signed

    def admit(self, host_id: str, key: bytes) -> None:
        """Is this the host, by its name and the digest of its key? Raises P0218."""
        row = self._hosts.get(host_id)
        if row is None or row.key_digest != key:
            raise _unknown(host_id)

    def until_us(self, host_id: str) -> int:
        """The end of the host's newest certificate; 0: it is not let in."""
        row = self._hosts.get(host_id)
        return row.expires_us if row is not None else 0

    def left_s(self, host_id: str) -> float:
        """For how long a stream of the host may go on, unless it renews its certificate meanwhile; 0: no longer."""
        row = self._hosts.get(host_id)
        return 0.0 if row is None else max(0.0, (row.expires_us + _GRACE_US - self._now_us()) / 1e6)

    def _with_tls(self) -> Authority:
        if self._authority is None:
            raise PerdureError(
                "P0217", "hosts join over TLS only", help="serve with --tls-name NAME, by which hosts dial the server"
            )
        return self._authority


def _open(invites: Iterable[InviteRow], credential: str, now_us: int) -> InviteRow:
    """The invitation that a join token is for. Raises P0216 when there is none any more, or the secret is another."""
    said = secret.JoinText.parse_credential(credential)
    invite = next((row for row in invites if said and row.invite_id == said[0]), None)
    if said is None or invite is None or not secret.matches(said[1], invite.digest):
        raise _refused("the join token is wrong, or was used before")
    if now_us >= invite.expires_us:
        raise _refused("the join token's time is over")
    return invite


def _utc(at_us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC)


def _refused(message: str) -> PerdureError:
    return PerdureError("P0216", message, help="`perdure hosts invite` makes a new one")


def _unknown(host_id: str) -> PerdureError:
    return PerdureError(
        "P0218",
        f"no host {host_id} has joined with this key, or it was revoked",
        help="`perdure hosts invite` makes a join token",
    )
