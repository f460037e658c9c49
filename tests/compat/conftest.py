"""Servers for projects of AutoKitteh's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "e2e"))

from compat_support import Platform, begun


@pytest.fixture(name="platform", scope="module")
def platform_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One for all tests that leave it as it is."""
    yield from begun(tmp_path_factory.mktemp("platform"))


@pytest.fixture(name="mortal")
def mortal_fixture(tmp_path: Path) -> Iterator[Platform]:
    """One that a test may kill."""
    yield from begun(tmp_path)
