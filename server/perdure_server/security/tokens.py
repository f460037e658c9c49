"""Bearer tokens of clients: made, checked, listed, revoked. Checked in memory, because every call needs one."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from perdure_server.core.errors import PerdureError
from perdure_server.security import secret
from perdure_server.security.scopes import SCOPES, Caller, Scope
from perdure_server.store import Mutation, Store, TokenRow

MAX_TOKENS: Final = 10_000
MAX_NAME: Final = 100
_PROJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_USED_US: Final = 60_000_000  # that a token was used is written down this often
_HOME: Final = "home"


class Tokens:
    """Those of a store, and one more that lives only as long as this object: whoever can read the home has it."""

    def __init__(self, store: Store, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us
        self._rows = {row.token_id: row for row in store.tokens()}
        home = secret.new_secret()
        self._rows[_HOME] = TokenRow(_HOME, secret.digest(home), "the home's own", "admin", "", now_us())
        self._home_secret = home
        self._calls: dict[str, set[asyncio.Timeout]] = {}  # that are open, by token

    def of_home(self, authority: str) -> str:
        """The admin token for HOME/endpoint.json. `authority`: fingerprint of the CA, empty without TLS."""
        return str(secret.TokenText(_HOME, self._home_secret, authority))

    def check(self, text: str) -> Caller | None:
        """Whom a token belongs to; None when it is none, revoked, or over."""
        said = secret.TokenText.parse(text)
        row = self._rows.get(said.token_id) if said else None
        if said is None or row is None or not secret.matches(said.secret, row.digest):
            return None
        now_us = self._now_us()
        if row.expires_us and now_us >= row.expires_us:
            return None
        if row.token_id != _HOME and now_us - row.used_us >= _USED_US:
            self._used(row, now_us)
        scope = SCOPES.get(row.scope, Scope.NONE)
        return Caller(f"token {row.token_id}", scope, row.project, token_id=row.token_id)

    @contextlib.asynccontextmanager
    async def held(self, caller: Caller) -> AsyncIterator[None]:
        """A call of a caller, for the length of the block. Raises P0215 from it when the token is revoked or over."""
        row = self._rows.get(caller.token_id)
        if row is None:
            yield
            return
        left_s = (row.expires_us - self._now_us()) / 1e6 if row.expires_us else None
        calls = self._calls.setdefault(row.token_id, set())
        try:
            async with asyncio.timeout(left_s) as deadline:
                calls.add(deadline)
                yield
        except TimeoutError:
            if not deadline.expired():
                raise
            raise PerdureError("P0215", "the token was revoked, or is over") from None
        finally:
            calls.discard(deadline)
            if not calls:
                self._calls.pop(row.token_id, None)

    async def create(self, name: str, scope: str, project: str, valid_s: float) -> tuple[TokenRow, str]:
        """A new token: its row and its secret, which cannot be seen again. `valid_s` 0: for ever. Raises P0103."""
        _check(name, scope, project, valid_s)
        if len(self._rows) > MAX_TOKENS:
            raise PerdureError("P0221", f"there are {MAX_TOKENS} tokens already", help="revoke some")
        made = secret.new_secret()
        now_us = self._now_us()
        expires_us = now_us + int(valid_s * 1e6) if valid_s else 0
        row = TokenRow(secret.new_id(), secret.digest(made), name, scope, project, now_us, expires_us)
        await self._store.commit(Mutation(lambda transaction: transaction.put_token(row)))
        self._rows[row.token_id] = row
        return row, made

    async def revoke(self, token_id: str) -> bool:
        """From now on nobody is let in with it, and who is in is put out. False when there is none."""
        if token_id == _HOME or token_id not in self._rows:
            return False
        del self._rows[token_id]  # first: it opens nothing, even if the disk is full
        try:
            await self._store.commit(Mutation(lambda transaction: transaction.delete_token(token_id)))
        finally:
            for call in self._calls.pop(token_id, ()):  # at last: this may be one of them
                if not call.expired():
                    call.reschedule(asyncio.get_running_loop().time())
        return True

    def rows(self) -> list[TokenRow]:
        """All but the home's own, oldest first."""
        return sorted((r for r in self._rows.values() if r.token_id != _HOME), key=lambda r: (r.created_us, r.token_id))

    def _used(self, row: TokenRow, now_us: int) -> None:
        self._rows[row.token_id] = replace(row, used_us=now_us)
        write = Mutation(lambda transaction: transaction.token_used(row.token_id, now_us), lazy=True)
        self._store.submit(write, lambda _result: None)  # for people only: a full disk is no reason to refuse a call


def _check(name: str, scope: str, project: str, valid_s: float) -> None:
    if scope not in SCOPES:
        raise PerdureError("P0103", f"there is no scope {scope!r}", help=f"one of {', '.join(SCOPES)}")
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise PerdureError("P0103", f"a token's name has 1 to {MAX_NAME} printable characters")
    if project and not _PROJECT.fullmatch(project):
        raise PerdureError("P0103", f"{project[:80]!r} is no project's name")
    if not 0 <= valid_s < 100 * 365 * 86_400:
        raise PerdureError("P0103", "a token is valid for ever (0 seconds), or for at most a hundred years")
