"""Packages without a network, for every test here."""

from __future__ import annotations

from pathlib import Path

import pytest
from perdure_runner.host.indexes import Indexes, indexes
from wheelhouse import Wheelhouse


@pytest.fixture(name="house")
def house_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    """An index with `tiny` 1.0 and 2.0, which this process' uv is told of."""
    house = Wheelhouse(tmp_path / "house")
    house.wheel("tiny", "1.0")
    house.wheel("tiny", "2.0")
    for name, value in house.variables.items():
        monkeypatch.setenv(name, value)
    return house


@pytest.fixture(name="sources")
def sources_fixture(house: Wheelhouse) -> Indexes:
    """The operator's settings, with this index and no other."""
    return indexes(house.variables | {"PATH": "/usr/bin:/bin"})
