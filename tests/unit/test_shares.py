"""What `serve --shares` lets projects have."""

from __future__ import annotations

from dataclasses import fields

import pytest
from perdure_server.coordinator.settings import Settings
from perdure_server.coordinator.shares import KEYS, parse_shares
from perdure_server.core.errors import Problems


def test_shares_are_fields_of_the_coordinators_settings() -> None:
    shares = parse_shares("value=16KiB, values=100,data=1GiB,children=3", "--shares")
    assert shares == {"value_bytes": 16_384, "project_values": 100, "project_bytes": 1 << 30, "session_children": 3}
    assert Settings(**shares).project_values == 100
    assert {name for name, _ in KEYS.values()} <= {field.name for field in fields(Settings)}


def test_what_is_wrong_is_told_at_once() -> None:
    with pytest.raises(Problems) as caught:
        parse_shares("valeus=1,value=much,values=0", "--shares")
    assert [problem.code for problem in caught.value.problems] == ["P0102", "P0103", "P0103"]
    assert "values" in (caught.value.problems[0].help or "")
