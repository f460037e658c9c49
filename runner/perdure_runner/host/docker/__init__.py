"""The Docker backend: every session in a hardened container of its own, from a pool of warm ones (ADR 0010)."""
