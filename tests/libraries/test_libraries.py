"""The own tests of popular libraries pass and fail through the hook exactly as they do plainly.

Library and tests are loaded as if they were user code, with sites that decide about every call. See `sources`.
"""

import importlib.util

import pytest
from libraries.comparing import compare
from libraries.sources import LIBRARIES, fetch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("libraries")]


@pytest.fixture(scope="module", autouse=True)
def _sources():
    if importlib.util.find_spec("pip") is None:
        pytest.skip("without pip no sources: `make setup` installs it")
    fetch()


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_a_library_passes_its_own_tests_through_the_hook(library, tmp_path):
    compared = compare(library, tmp_path)
    assert compared.differences == []
    assert sum(outcome == "passed" for outcome in compared.hooked.outcomes.values()) >= 100
    assert compared.hooked.hooked >= 5  # they really came through the hook
    assert compared.plain.hooked == 0
