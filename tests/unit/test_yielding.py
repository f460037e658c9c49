"""Sessions beside a coordinator have a lower priority than it has."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from perdure_runner.host.yielding import yield_to_others


@pytest.fixture(name="process")
def process_fixture() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_process_yields(process: subprocess.Popen[bytes]) -> None:
    yield_to_others(process.pid, 10)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 10


def test_without_a_number_nothing_changes_and_who_is_gone_is_no_fault(process: subprocess.Popen[bytes]) -> None:
    before = os.getpriority(os.PRIO_PROCESS, process.pid)
    yield_to_others(process.pid, 0)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == before
    process.kill()
    process.wait()
    yield_to_others(process.pid, 10)
