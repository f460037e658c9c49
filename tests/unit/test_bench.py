"""The benchmark's own logic: figures, floors, the document and the table. Nothing here is timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from bench import figures, table  # noqa: E402
from bench.__main__ import main  # noqa: E402
from bench.part import PARTS  # noqa: E402

PROMISED = {
    "sequential_activities_per_s",
    "sequential_activities_per_s_grpc",
    "sessions_per_s",
    "fan_out_s",
    "start_ms_p50",
    "start_ms_p90",
    "replay_entries_per_s",
    "resume_s",
    "slowdown_geomean",
    "slowdown_worst",
    "internal_call_ns",
    "kib_per_live_session",
    "kib_per_suspended_session",
}
FLOORS = {name: [100.0, 200.0, 300.0] for name in figures.FLOORS}


def test_every_figure_is_measured_by_exactly_one_part() -> None:
    measured = [name for part in PARTS.values() for name in part.figures]
    assert sorted(measured) == sorted(figures.SPECS)
    assert set(figures.SPECS) >= PROMISED


def test_all_parts_together_are_bounded() -> None:
    assert sum(part.limit_s for part in PARTS.values()) + PARTS["floors"].limit_s <= 690
    assert all(part.quick_limit_s < part.limit_s for part in PARTS.values())


def test_floor_and_ratio_of_a_rate() -> None:
    samples = {**FLOORS, "sequential_activities_per_s": [1000.0, 500.0, 800.0]}
    found = figures.figures(samples)["sequential_activities_per_s"]
    assert found.value == 800.0
    assert found.floor == pytest.approx(1e6 / 400)  # a frame round trip and a commit, 200 us each
    assert found.ratio == pytest.approx(2500 / 800)


def test_floor_and_ratio_of_a_duration() -> None:
    samples = {**FLOORS, "resume_runner_s": [0.5, 0.4]}
    found = figures.figures(samples)["resume_runner_s"]
    assert found.value == pytest.approx(0.45)
    assert found.floor == pytest.approx(0.2)  # a fork of 200 ms
    assert found.ratio == pytest.approx(0.45 / 0.2)


@pytest.mark.parametrize("samples", [{"start_ms_p50": [5.0]}, {**FLOORS, "kib_per_suspended_session": [-0.5, 0.4]}])
def test_no_ratio_without_a_floor_or_a_value_above_nothing(samples: dict[str, list[float]]) -> None:
    (found,) = figures.figures(samples).values()
    assert found.ratio is None


def test_document_has_the_promised_form() -> None:
    samples = {**FLOORS, **{name: [1.23456, 2.0] for name in figures.SPECS}}
    document = json.loads(json.dumps(figures.document({"cores": 2}, samples, {})))
    assert set(document) == {"machine", "figures", "floors", "missing"}
    assert set(document["figures"]) >= PROMISED
    for figure in document["figures"].values():
        assert set(figure) >= {"value", "unit", "floor", "ratio", "runs"}
        assert figure["runs"] == [1.235, 2.0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0.0, 0.0), (1234.56, 1235.0), (0.00123456, 0.001235), (-98765.4, -98770.0), (1e-9, 1e-9)],
)
def test_significant_digits(given: float, expected: float) -> None:
    assert figures.significant(given) == pytest.approx(expected)


def test_table_names_every_figure_floor_and_gap() -> None:
    samples = {**FLOORS, **{name: [0.5, 12.0, 34567.0] for name in figures.SPECS}}
    lines = table.render(samples, {"memory": "it took longer than 60 s"}).splitlines()
    starts = {line.split(" ", 1)[0] for line in lines}
    assert starts >= {*figures.SPECS, *figures.FLOORS}
    assert lines[-1] == "not measured: memory: it took longer than 60 s"
    row = next(line for line in lines if line.startswith("sessions_per_s "))
    assert "12.0" in row
    assert "0.500 - 34,567 (3)" in row


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["nothing_of_the_kind"])
    assert "nothing_of_the_kind" in capsys.readouterr().err


def test_kernels_give_the_same_with_and_without_the_hook(tmp_path: Path) -> None:
    """A slowdown means something only if both do the same; and no kernel may call anything outside."""
    code = (
        "import sys, importlib; from bench.place import KERNELS; from bench.kernel_worker import install\n"
        "sys.path.insert(0, str(KERNELS))\n"
        "if sys.argv[1] == 'hooked':\n"
        "    install(sys.argv[2])\n"
        "from bench.slowdown import SIZES\n"
        "print([importlib.import_module(name).run(1) for name in SIZES])\n"
    )
    answers = [
        subprocess.run([sys.executable, "-c", code, kind, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
        for kind in ("plain", "hooked")
    ]
    assert [answer.returncode for answer in answers] == [0, 0], answers[1].stderr
    assert answers[0].stdout == answers[1].stdout
