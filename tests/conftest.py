"""Fixtures that several suites share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.harness import Bench, bench


@pytest.fixture(scope="session", name="bench")
def bench_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One counting server and one fork server for all tests of this worker."""
    with bench(tmp_path_factory.mktemp("bench")) as equipment:
        yield equipment
