"""The page about HTTP says what is served."""

from pathlib import Path

import pytest
from perdure_server.web.errors import _OF_STATUS
from perdure_server.web.routes import PREFIX, ROUTES, Route

PAGE = (Path(__file__).parents[2] / "docs/reference/http.md").read_text()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.rpc)
def test_every_route_has_its_row(route: Route) -> None:
    assert f"| `{route.method} {PREFIX}{route.path.replace(':path', '')}` | {route.summary} |" in PAGE


def test_every_status_of_an_error_has_its_row() -> None:
    assert all(f"| {status} |" in PAGE for status in set(_OF_STATUS.values()) - {501})
