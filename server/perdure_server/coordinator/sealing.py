"""Recorded values of sessions that know secrets: sealed before they are stored, opened for their runner alone.

A value may hold a secret in any form, compressed or encrypted by user code, so all values of such a session are
sealed, whatever is in them. What people see of them are previews, in which the host has masked the secrets. Nobody
but the runner decodes a value, so nothing else is opened again.
"""

from __future__ import annotations

from typing import Final

from perdure_proto.v1 import journal_pb2 as pb

from perdure_server.secrets import MAGIC, Vault, is_sealed
from perdure_server.store import BlobStore

# Values are bound to their session by a digest of the runner's own; so forks can share them.
_ABOUT: Final = b"value"


def seal(payload: pb.Payload, vault: Vault) -> None:
    """Seal the value in place, unless it is already."""
    if payload.data and not is_sealed(payload.data):
        payload.data = vault.seal(payload.data, _ABOUT)


def may_be_sealed(row: bytes) -> bool:
    """Whether something in a row of the journal may be sealed: a quick look, for nearly none is."""
    return MAGIC in row


def unseal(entry: pb.Entry, vault: Vault) -> None:
    """Open the entry's value in place, if it is sealed. P0209 when it is damaged, P0220 when its key is missing."""
    if is_sealed(entry.outcome.data):
        entry.outcome.data = vault.unseal(entry.outcome.data, _ABOUT)


def hide(payload: pb.Payload, blobs: BlobStore) -> None:
    """Take a sealed value away, in place: its preview is all that is shown of it."""
    if is_sealed(payload.data) or (payload.blob and is_sealed(blobs.head(payload.blob))):
        payload.ClearField("data")
        payload.ClearField("blob")
