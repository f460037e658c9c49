"""Every journal that an earlier version recorded is replayed without a difference; edited programs are found out."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.golden import load
from support.harness import Bench
from support.programs import CASES

PROGRAMS = CASES / "programs" / "golden"
JOURNALS = {path.stem: path for path in sorted((Path(__file__).parent / "journals").glob("*.json"))}
EDITS = [
    ("sleeps", 'get(event["url"] + "/one")', 'get(event["url"] + "/other")', "the arguments differ"),
    ("sleeps", "time.sleep(0.02)", "time.sleep(0.03)", "the arguments differ"),
    ("randomness", "random.randint(1, 6)", "random.randrange(6)", "another function"),
    ("async_handler", "await asyncio.sleep(0.01)", "get(url + '/new')", "timer"),
    ("mixed_day", 'get(url + "/status/404/none")', "time.time()", "marker"),
    ("signals_after", 'perdure.next_signal("approve", "reject", timeout=60)', "perdure.sleep(60)", "signal"),
    ("custom_exceptions", 'call(event["url"], kind)', 'call(event["url"], kind=kind)', "the arguments differ"),
    ("dataclass_factories", 'post(event["url"] + "/order"', 'post(event["url"] + "/orders"', "the arguments differ"),
    ("hash_order", 'get(event["url"] + "/end")]', "0]", "the journal goes on"),
]
_numbers = itertools.count(1)


def replay(bench: Bench, golden: dict[str, Any], folder: Path = PROGRAMS, entries: int | None = None) -> dict[str, Any]:
    """See `support.golden.replay`."""
    home = bench.folder / "golden" / str(next(_numbers))
    count = len(golden["entries"]) if entries is None else entries
    reply = bench.forks.ask("support.golden:replay", home=str(home), folder=str(folder), golden=golden, entries=count)
    assert reply["exit"] == 0, reply["stderr"]
    return reply["answer"]


@pytest.mark.parametrize("name", JOURNALS)
def test_replays_to_its_end(bench: Bench, name: str) -> None:
    golden = load(JOURNALS[name])
    said = replay(bench, golden)
    assert said == {"state": golden["state"], "divergence": "", "outcome": golden["outcome"]}


@pytest.mark.parametrize("name", JOURNALS)
def test_half_a_journal_replays_to_where_it_ends(bench: Bench, name: str) -> None:
    golden = load(JOURNALS[name])
    half = len(golden["entries"]) // 2
    assert replay(bench, golden, entries=half)["state"] == "replayed"


@pytest.mark.parametrize(("name", "old", "new", "reason"), EDITS, ids=[f"{e[0]}-{i}" for i, e in enumerate(EDITS)])
def test_an_edited_program_is_found_out(
    bench: Bench, tmp_path: Path, name: str, old: str, new: str, reason: str
) -> None:
    """The divergence names the line of the edit, where the code does something else, and what is different."""
    folder = Path(shutil.copytree(PROGRAMS, tmp_path / "programs"))
    source = (folder / f"{name}.py").read_text()
    assert source.count(old) == 1
    (folder / f"{name}.py").write_text(source.replace(old, new))
    golden = load(JOURNALS[name])
    said = replay(bench, golden, folder)
    line = source[: source.index(old)].count("\n") + 1
    assert said["state"] == "diverged"
    assert reason in said["divergence"]
    assert f"{name}.py:{line}" in said["divergence"]


def test_a_changed_payload_is_never_loaded(bench: Bench) -> None:
    """Whoever changes the journal outside does not get his pickle run."""
    golden = load(JOURNALS["rich_results"])
    row = next(row for row in golden["entries"] if row.get("outcome", {}).get("encoding") == "ENCODING_PICKLE")
    row["outcome"]["data"] = "gASVFAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOULg=="
    said = replay(bench, golden)
    assert said["outcome"].startswith("perdure.PayloadCorrupt") or "digest" in said["divergence"]
