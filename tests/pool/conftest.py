"""A terminal for each test, as in tests/e2e."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.terminal import Terminal, opened


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path) -> Iterator[Terminal]:
    with opened(tmp_path) as terminal:
        yield terminal
