"""Fixtures that several suites share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from support.harness import Bench, bench

# The same examples in every run, however slow the machine is: who waits for the suite is told of what was changed.
# PERDURE_EXAMPLES=new looks for what nobody has seen yet.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("PERDURE_EXAMPLES", "same"))


@pytest.fixture(scope="session", name="bench")
def bench_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One counting server and one fork server for all tests of this worker."""
    with bench(tmp_path_factory.mktemp("bench")) as equipment:
        yield equipment


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of tests that were tried again, which CI does, why: each is a bug, of the test or of perdure."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("_", f"failed, and was tried again: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)
