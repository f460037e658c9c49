"""Webhooks while the coordinator is killed: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))

from bench import webhooks


@pytest.mark.slow
async def test_two_deaths_of_the_coordinator_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Its gateway answers meanwhile: nobody has to send anything again."""
    report = await webhooks.run(tmp_path, rate=60, seconds=8, kills=2, drain=True)
    assert len(report.outages) == 2
    assert not any(each.attempts > 1 for each in report.told), "somebody had to send again"
    all_is_there_once(report)


@pytest.mark.slow
async def test_two_deaths_of_the_whole_server_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Senders send again until they are answered, as services do; each with the id of its delivery."""
    report = await webhooks.run(tmp_path, rate=60, seconds=8, kills=2, drain=True, whole=True)
    assert len(report.outages) == 2
    assert any(each.attempts > 1 for each in report.told), "no request met a death"
    all_is_there_once(report)


def all_is_there_once(report: webhooks.Report) -> None:
    assert all(each.event_id for each in report.told)
    assert (report.lost, report.twice) == (0, 0)
    assert report.events == report.sessions == len(report.told) == 480
