"""`perdure vars rotate-key`: a new key, and every variable sealed with it anew."""

from __future__ import annotations

from dataclasses import dataclass

from perdure_server.secrets.vault import Vault
from perdure_server.store import Mutation, Store, Transaction, VarRow

KEY_FACT = "secrets_key:"
"""Facts of the store named so, and then by a key's id: that key has sealed something, and is needed."""


@dataclass(frozen=True, slots=True)
class Rotation:
    key_id: str
    resealed: int  # variables


def needed_keys(store: Store) -> set[str]:
    """Ids of the keys without which something of the store cannot be opened."""
    return {name.removeprefix(KEY_FACT) for name in store.facts() if name.startswith(KEY_FACT)}


def note_key(transaction: Transaction, key_id: str, now_us: int) -> None:
    """The key seals from now on."""
    name = KEY_FACT + key_id
    if name not in transaction.facts():
        transaction.put_fact(name, str(now_us))


def about(row_project: str, name: str) -> bytes:
    """What a sealed variable is bound to."""
    return b"\0".join((b"variable", row_project.encode(), name.encode()))


def rotate(store: Store, vault: Vault, now_us: int) -> Rotation:
    """Seal every variable with a new key. What the journal and older deployments hold stays under the old ones.

    Raises P0220 when an old key is missing; then nothing is changed.
    """
    vault.require(needed_keys(store))
    opened = [(row, vault.unseal(row.value, about(row.project, row.name))) for row in store.sealed_vars()]
    key_id = vault.rotate()

    def write(transaction: Transaction) -> None:
        note_key(transaction, key_id, now_us)
        for row, value in opened:
            sealed = vault.seal(value, about(row.project, row.name))
            transaction.put_var(VarRow(row.project, row.name, sealed, row.secret, key_id, row.set_us))

    store.apply(Mutation(write))
    return Rotation(key_id, len(opened))
