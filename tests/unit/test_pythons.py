"""Where a host looks for interpreters."""

import sys

import pytest
from perdure_runner.host.pythons import InterpreterNotFoundError, Interpreters


@pytest.fixture(name="interpreters")
def interpreters_fixture(monkeypatch: pytest.MonkeyPatch) -> Interpreters:
    """PYENV_ROOT is no folder that can be looked into: any user gets an OSError for so long a name."""
    monkeypatch.setenv("PYENV_ROOT", "/" + "x" * 300)
    return Interpreters()


def test_a_folder_of_pyenv_that_cannot_be_read_has_no_interpreters(interpreters: Interpreters) -> None:
    assert "{}.{}".format(*sys.version_info) in interpreters.versions()


async def test_who_is_missing_is_told_all_the_same(interpreters: Interpreters) -> None:
    with pytest.raises(InterpreterNotFoundError, match=r"no Python '3\.99' here"):
        await interpreters.resolve("3.99")
