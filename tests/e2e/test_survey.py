"""examples/survey: twenty calls at once from tasks, twenty from threads, and live objects across a sleep."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

SURVEY = Path(__file__).parent.parent.parent / "examples" / "survey"


def most_at_once(calls: list[dict[str, Any]]) -> int:
    """How many of these calls were under way at the same moment, at most."""
    begun = [datetime.fromisoformat(call["started_at"]) for call in calls]
    ended = [at + timedelta(milliseconds=call["duration_ms"]) for at, call in zip(begun, calls, strict=True)]
    return max(sum(a <= at < b for a, b in zip(begun, ended, strict=True)) for at in begun)


@pytest.mark.parametrize("function", ["httpx.AsyncClient.get", "requests.api.get"])
def test_calls_of_tasks_and_of_threads_overlap(terminal: Terminal, function: str) -> None:
    document = terminal.run("run", str(SURVEY), "--json").document
    assert (document["state"], document["result"]["offers"]) == ("completed", 20)
    calls = [call for call in document["activities"] if call["function"] == function]
    assert len(calls) == len({call["lane"] for call in calls}) == 20
    assert most_at_once(calls) > 10


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_survey_survives_a_crash_after_every_entry() -> None:
    command = [sys.executable, "-m", "perdure_server", "check", str(SURVEY), "--jobs", "4"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=850)
    assert checked.returncode == 0, checked.stdout + checked.stderr
