"""What this machine can do decides which of these tests can be made."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # host_support, which the host's own tests share

from perdure_runner.host import isolation
from perdure_runner.host.config import HostConfig


@pytest.fixture(scope="session", name="reasons")
def reasons_fixture() -> dict[str, str]:
    """Why this machine cannot have a kind of isolation; "" if it can."""

    async def ask() -> dict[str, str]:
        with tempfile.TemporaryDirectory() as folder:
            return dict((await isolation.survey(HostConfig(state_dir=Path(folder)), sys.executable)).reasons)

    return asyncio.run(ask())


@pytest.fixture(name="namespaces")
def namespaces_fixture(reasons: dict[str, str]) -> str:
    if why := reasons["namespaces"]:
        pytest.skip(f"no namespaces: {why}")
    return "namespaces"


@pytest.fixture(name="landlock")
def landlock_fixture(reasons: dict[str, str]) -> str:
    if why := reasons["landlock"]:
        pytest.skip(f"no Landlock: {why}")
    return "landlock"


@pytest.fixture(name="bubblewrap")
def bubblewrap_fixture(reasons: dict[str, str]) -> str:
    if why := reasons["bubblewrap"]:
        pytest.skip(f"no bubblewrap: {why}")
    return "bubblewrap"
