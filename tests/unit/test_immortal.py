"""What exists in a zygote is not counted any more: forks that use it write nothing there."""

import subprocess
import sys
import textwrap

import pytest

HAS = sys.version_info[:2] in {(3, 12), (3, 13)}


def run(code: str) -> str:
    """In a process of its own: what is made immortal is so for good."""
    before = "import gc, json, sys, weakref\nfrom perdure_runner.child import immortal\n"
    done = subprocess.run(
        [sys.executable, "-c", before + textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(HAS, reason="has immortal objects")
def test_where_all_objects_are_counted_nothing_happens_unless_it_is_wanted() -> None:
    code = """
        kept = object()
        print(len(immortal.make_all(also_counted=False).counts), sys.getrefcount(kept))
    """
    assert run(code) == "0 2"


@pytest.mark.skipif(HAS, reason="has immortal objects")
def test_counts_in_3_11_go_on_far_from_any_end() -> None:
    code = """
        found = immortal.make_all()
        assert len(found.counts) > 10_000 and len(found.warmups) > 1000
        assert id(json.dumps) in found.counts and id(json.dumps.__code__) + 48 in found.warmups
        things = [json.dumps, json.JSONEncoder, json.dumps.__code__, json.dumps.__code__.co_consts, vars(json), "dumps"]
        more = [things * 100 for _ in range(100)]
        assert all(3 << 58 < sys.getrefcount(each) < 4 << 58 for each in things)
        del more, things
        gc.unfreeze()
        print(gc.collect() >= 0, json.loads(json.dumps({"a": [1, 2.5, None]})))
    """
    assert run(code) == "True {'a': [1, 2.5, None]}"


@pytest.mark.skipif(not HAS, reason="has no immortal objects of the form that we know")
def test_functions_classes_code_and_constants_are_counted_no_more() -> None:
    code = """
        assert len(immortal.make_all().counts) > 10_000
        things = [json.dumps, json.JSONEncoder, json.dumps.__code__, json.dumps.__code__.co_consts, vars(json), "dumps"]
        counts = [sys.getrefcount(each) for each in things]
        more = [things * 100 for _ in range(100)]
        assert [sys.getrefcount(each) for each in things] == counts == [0xFFFFFFFF] * len(things), counts
        del more, things
        print(json.loads(json.dumps({"a": [1, 2.5, None]})))
    """
    assert run(code) == "{'a': [1, 2.5, None]}"


def test_what_is_made_later_dies_as_ever() -> None:
    code = """
        class Node: ...
        immortal.make_all()
        gc.freeze()
        one, two = Node(), Node()
        two.self = two
        died = []
        held = [weakref.ref(one, died.append), weakref.ref(two, died.append)]
        del one
        assert len(died) == 1
        del two
        gc.collect()
        print(len(died), sys.getrefcount(held))
    """
    assert run(code) == "2 2"
