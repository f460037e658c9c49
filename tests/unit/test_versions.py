"""`perdure.version`: which branch of changed code a session takes, and that asking is never a difference."""

from __future__ import annotations

import perdure
import pytest
from perdure_runner.child.replay import VERSIONS, Call, Form, History, Kind, Replay


def row(ordinal: int, function: str = "shop.buy") -> dict[str, object]:
    return Call("main", ordinal, Form.ACTIVITY, function, "aa").row(Kind.ACTIVITY) | {"att": 1, "enc": 1}


def version_row(name: str) -> dict[str, object]:
    return Call(VERSIONS + name, 1, Form.SYSTEM, "perdure.version", "bb").row(Kind.SYSTEM) | {"enc": 1}


def history(*rows: dict[str, object]) -> History:
    kept = History()
    for each in rows:
        kept.add(each)
    return kept


def test_a_version_is_found_by_its_name_wherever_it_stands() -> None:
    kept = history(row(1), version_row("mail"), row(2))
    assert kept.version("mail") == version_row("mail")
    assert kept.version("fax") is None


def test_versions_take_no_place_among_the_calls() -> None:
    kept = history(row(1), version_row("mail"), row(2))
    assert len(kept) == 2
    for ordinal in (1, 2):
        assert isinstance(kept.next(Call("main", ordinal, Form.ACTIVITY, "shop.buy", "aa")), Replay)
    assert kept.end() is None, "code that asks no more is no difference"


def test_a_plain_script_gets_the_newest() -> None:
    assert perdure.version("mail") == 1
    assert perdure.version("mail", 3) == 3


@pytest.mark.parametrize(
    ("name", "newest", "error"),
    [
        ("", 1, ValueError),
        ("a\n", 1, ValueError),
        ("x" * 201, 1, ValueError),
        ("a", 0, ValueError),
        (1, 1, TypeError),
        ("a", "b", TypeError),
    ],
)
def test_what_is_no_version_is_refused(name: object, newest: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="version"):
        perdure.version(name, newest)  # type: ignore[arg-type]  # on purpose
