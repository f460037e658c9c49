"""The standard library's own tests pass and fail through the hook exactly as they do natively: a sample.

`python -m tests.transparency` compares all modules of `modules.ALL`, on every interpreter found.
"""

import sys

import pytest
from transparency import modules
from transparency.compare import Bench, differ


@pytest.mark.slow
@pytest.mark.everywhere
@pytest.mark.timeout(900)
def test_the_standard_librarys_own_tests(tmp_path):
    bench = Bench(sys.executable, tmp_path)
    if bench.lacks:
        pytest.skip(f"this interpreter has no tests of its own: {bench.lacks}")
    came, differences = bench.compare({name: modules.modes(name) for name in modules.SAMPLE}, jobs=2)
    assert [str(each) for each in differences if not modules.is_inherent(each, bench.sites)] == []
    routed = [modes["routed"].outcomes for modes in came.values()]
    assert sum("pass" in outcomes.values() for outcomes in routed) >= 20
    assert sum(outcome == "pass" for outcomes in routed for outcome in outcomes.values()) >= 3000
    assert sum(modes["recorded"].entries for modes in came.values() if "recorded" in modes) >= 100
    assert len(list((tmp_path / "cache").rglob("*.bin"))) >= 25  # the modules really came through the hook


def test_a_difference_is_seen():
    from transparency.compare import Ended

    ended = {"plain": Ended({"a": "pass", "b": "pass", "c": "fail"}), "routed": Ended({"a": "pass", "b": "fail"})}
    assert differ(ended, "routed") == {"b", "c"}
