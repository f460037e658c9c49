"""All that a coordinator knows of who may ask: one object for its doors and for `Control`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.core.errors import PerdureError
from perdure_server.security.joining import DAY_S, Joining
from perdure_server.security.secret import TokenText
from perdure_server.security.tokens import Tokens
from perdure_server.store import Store, TokenRow

if TYPE_CHECKING:
    from perdure_server.security.authority import Authority

INVITE_S: Final = 600.0
_HOST: Final = "host:"  # before a host's name it is the id by which a host is revoked


class Access:
    """`home`: where the CA is or will be; None without TLS. `address`, `hosts`: what join tokens name."""

    def __init__(
        self,
        store: Store,
        now_us: Callable[[], int],
        *,
        home: Path | None = None,
        certificate_valid_s: float = DAY_S,
    ) -> None:
        self.authority = _authority(home) if home is not None else None
        self.tokens = Tokens(store, now_us)
        self.joining = Joining(store, self.authority, now_us, certificate_valid_s)
        self.address = ""
        self.hosts = ""

    @classmethod
    def at_rest(cls, store: Store, now_us: Callable[[], int], home: str) -> Access:
        """Of a home that nobody serves just now: its tokens are for a server with TLS if it had one before."""
        return cls(store, now_us, home=Path(home) if home and (Path(home) / "ca").is_dir() else None)

    @property
    def home_token(self) -> str:
        return self.tokens.of_home(self._fingerprint)

    async def create_token(self, request: pb.CreateTokenRequest) -> pb.CreateTokenResponse:
        row, secret = await self.tokens.create(request.name, request.scope or "read", request.project, request.valid_s)
        text = TokenText(row.token_id, secret, self._fingerprint)
        return pb.CreateTokenResponse(token=_message(row), secret=str(text))

    def list_tokens(self) -> pb.ListTokensResponse:
        """Of clients, and (scope `host`) the hosts that have joined."""
        hosts = [
            pb.Token(
                token_id=_HOST + row.host_id,
                name=row.host_id,
                scope="host",
                created_us=row.joined_us,
                expires_us=row.expires_us,
            )
            for row in self.joining.hosts()
        ]
        return pb.ListTokensResponse(tokens=[*(_message(row) for row in self.tokens.rows()), *hosts])

    async def revoke_token(self, request: pb.RevokeTokenRequest) -> pb.RevokeTokenResponse:
        if request.token_id.startswith(_HOST):
            return pb.RevokeTokenResponse(existed=await self.joining.revoke(request.token_id.removeprefix(_HOST)))
        return pb.RevokeTokenResponse(existed=await self.tokens.revoke(request.token_id))

    async def invite_host(self, request: pb.InviteHostRequest) -> pb.InviteHostResponse:
        if not self.address:
            raise PerdureError(
                "P0217", "hosts join over TLS only", help="serve with --tls-name NAME, by which hosts dial the server"
            )
        token, expires_us = await self.joining.invite(
            request.valid_s or INVITE_S, request.host_id, self.address, self.hosts
        )
        return pb.InviteHostResponse(token=token, expires_at_us=expires_us, address=self.address)

    @property
    def _fingerprint(self) -> str:
        return self.authority.fingerprint if self.authority is not None else ""


def _authority(home: Path) -> Authority:
    # Who serves without TLS, or looks at tokens only, does not pay for the import of `cryptography`.
    from perdure_server.security.authority import Authority

    return Authority.of(home)


def _message(row: TokenRow) -> pb.Token:
    return pb.Token(
        token_id=row.token_id,
        name=row.name,
        scope=row.scope,
        project=row.project,
        created_us=row.created_us,
        expires_us=row.expires_us,
        used_us=row.used_us,
    )
