"""A variable of a manifest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """`MODE: text`, `MODE: {env: NAME, value: text if NAME is not set}`, or a secret: `TOKEN: {secret: true}`.

    The value of a secret is never in `perdure.yaml`, which is part of the build: it comes from `env`, or is set apart.
    """

    name: str
    value: str | None = None
    env: str | None = None
    secret: bool = False
    line: int = 0
    column: int = 0
