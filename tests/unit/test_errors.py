"""The catalogue is complete, and errors render as the design shows them."""

import pickle
import re

import pytest
from perdure_server.core.errors import (
    BORDER,
    CATALOGUE,
    Exit,
    PerdureError,
    Problems,
    did_you_mean,
    exit_code,
    explain,
    grpc_status,
)

# Frozen: a code that users have seen is never taken away.
CODES = [
    f"P{number:04}"
    for number in (
        *range(101, 110),
        *range(110, 115),
        *range(120, 125),
        *range(201, 238),
        *range(301, 307),
        *range(401, 408),
        410,
        411,
        501,
        502,
        503,
        *range(601, 609),
        *range(610, 615),
        701,
        702,
        703,
    )
]


def test_the_catalogue_holds_every_stable_code_and_each_leaves_the_process_somehow() -> None:
    assert list(CATALOGUE) == CODES
    assert set(BORDER) == set(CODES)


def test_statuses_are_names_grpc_knows() -> None:
    import grpc

    assert all(hasattr(grpc.StatusCode, border.status) for border in BORDER.values())


@pytest.mark.parametrize("code", CODES)
def test_every_explanation_reads_as_prose(code: str) -> None:
    title, why, remedy = CATALOGUE[code]
    assert title == title.strip()
    assert not title.endswith(".")
    assert why.endswith(".")
    assert len(remedy) > 15
    assert "  " not in why + remedy
    assert explain(code.lower()).startswith(f"{code}: {title}\n\n{why}")


def test_render_shows_source_caret_and_help() -> None:
    error = PerdureError(
        "P0102",
        "unknown key 'vras'",
        help="did you mean 'vars'?",
        file="perdure.yaml",
        line=5,
        column=5,
        source="    vras: {}\n",
    )
    assert error.render() == (
        "error[P0102] perdure.yaml:5:5 unknown key 'vras'\n      vras: {}\n      ^\nhelp: did you mean 'vars'?"
    )
    assert str(error) == "perdure.yaml:5:5: unknown key 'vras'"


def test_a_bare_error_is_one_line() -> None:
    assert PerdureError("P0204", "unknown session 'x'").render() == "error[P0204] unknown session 'x'"


def test_a_long_line_is_cut_around_the_caret_and_a_tab_keeps_the_caret_in_place() -> None:
    source = "x" * 5000 + "!" + "y" * 5000
    shown, caret = PerdureError("P0113", "m", column=5001, source=source).render().splitlines()[1:]
    assert len(shown) < 170
    assert shown[caret.index("^")] == "!"
    shown, caret = PerdureError("P0101", "m", column=2, source="\t!").render().splitlines()[1:]
    assert shown[caret.index("^")] == "!"


def test_problems_show_all_of_them() -> None:
    problems = Problems([PerdureError("P0103", "first", line=1), PerdureError("P0102", "second", line=2)])
    assert problems.code == "P0103"
    assert re.findall(r"first|second", problems.render()) == ["first", "second"]
    assert str(problems) == "1: first\n2: second"


@pytest.mark.parametrize(
    "error", [PerdureError("P0113", "m", file="f.py", line=3, source="x ="), Problems([PerdureError("P0101", "m")])]
)
def test_errors_cross_process_borders(error: PerdureError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.render()) == (type(error), error.render())


def test_exit_codes_and_statuses() -> None:
    assert exit_code(PerdureError("P0207", "m")) is Exit.UNREACHABLE
    assert exit_code(PerdureError("P0501", "m")) is Exit.DIVERGED
    assert exit_code(PerdureError("P0101", "m")) is Exit.USAGE
    assert grpc_status(PerdureError("P0204", "m")) == "NOT_FOUND"
    assert grpc_status(PerdureError("P0235", "m")) == "NOT_FOUND"


def test_unknown_codes_are_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="P9999"):
        PerdureError("P9999", "m")


def test_did_you_mean() -> None:
    assert did_you_mean("vras", ["vars", "name"]) == "did you mean 'vars'?"
    assert did_you_mean("zzz", ["vars"]) is None
