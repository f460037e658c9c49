"""Secrets at rest: the keys of a home, and what they seal."""

from perdure_server.secrets.keys import KEY_FILE, KEY_VARIABLE, Key, KeyRing
from perdure_server.secrets.vault import MAGIC, Vault, is_sealed

__all__ = ["KEY_FILE", "KEY_VARIABLE", "MAGIC", "Key", "KeyRing", "Vault", "is_sealed"]
