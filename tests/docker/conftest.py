"""One engine for all tests here; without any, they are skipped, and say why."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", name="engine")
def engine_fixture(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """The address of a Docker Engine that has a base image."""
    if importlib.util.find_spec("docker.errors") is None:
        pytest.skip("the docker SDK is not installed")
    from docker_support import NoEngine, shared_engine

    common = tmp_path_factory.getbasetemp()
    folder = (common if worker_id == "master" else common.parent) / "docker"
    try:
        context = shared_engine(folder)
        url = context.__enter__()
    except NoEngine as reason:
        pytest.skip(str(reason))
    try:
        yield url
    finally:
        context.__exit__(None, None, None)
