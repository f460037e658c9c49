"""What TARGET of `perdure run` means."""

from pathlib import Path

import pytest
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.target import Target, check_entry_point, parse_target


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "one/flow.py": "def whatever(event): ...\n",
        "main/main.py": "def helper(): ...\nasync def main(event): ...\n",
        "main/other.py": "def handler(event): ...\n",
        "entry/perdure.yaml": "entry: sub/jobs.py:second\n",
        "entry/sub/jobs.py": "def first(e): ...\ndef second(e): ...\n",
        "several/a.py": "def a(): ...\n",
        "several/b.py": "def b(): ...\n",
        "empty/x.py": "x = 1\n",
        "both/main.py": "def main(e): ...\ndef on_push(e): ...\n",
        "events.py": "def helper(): ...\ndef on_push(event): ...\n",
        "kinds.py": "import os\nclass Thing: ...\nvalue = 1\ndef f(e): ...\nf = 2\n",
        "bad.py": "def f(:\n",
        "notes.txt": "x",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "folder", "entry_point"),
    [
        ("one", "one", "flow.py:whatever"),
        ("main", "main", "main.py:main"),
        ("main/", "main", "main.py:main"),
        ("entry", "entry", "sub/jobs.py:second"),
        ("events.py", ".", "events.py:on_push"),
        ("main/other.py", "main", "other.py:handler"),
        ("events.py:helper", ".", "events.py:helper"),
        ("main/other.py:handler", "main", "other.py:handler"),
        ("entry:sub/jobs.py:first", "entry", "sub/jobs.py:first"),
        (".:./events.py:on_push", ".", "events.py:on_push"),
    ],
)
def test_targets(root: Path, text: str, folder: str, entry_point: str) -> None:
    assert parse_target(text) == Target(Path(folder), entry_point)


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("", "P0114", "write DIR"),
        ("a:b", "P0114", "write DIR"),
        ("a.py:", "P0114", "write DIR"),
        ("a:b.py:c:d", "P0114", "write DIR"),
        ("notes.txt", "P0114", "write DIR"),
        ("events.py:on push", "P0114", "write FILE.py:FUNCTION"),
        ("main:../events.py:on_push", "P0114", "relative"),
        ("main:/events.py:on_push", "P0114", "relative"),
        ("several", "P0114", "set `entry"),
        ("both", "P0114", "main, on_push"),
        ("event.py", "P0110", "did you mean 'events.py'?"),
        ("mian", "P0110", "did you mean 'main'?"),
        ("mian:main.py:main", "P0110", "did you mean 'main'?"),
        ("nowhere/at/all.py:f", "P0110", None),
        ("events.py:on_psuh", "P0111", "did you mean 'on_push'?"),
        ("events.py:zzz", "P0111", "there are: helper, on_push"),
        ("empty", "P0111", "def main(event)"),
        ("kinds.py:Thing", "P0112", None),
        ("kinds.py:os", "P0112", None),
        ("kinds.py:value", "P0112", None),
        ("kinds.py:f", "P0112", None),
        ("bad.py:f", "P0113", None),
    ],
)
def test_what_is_no_target(root: Path, text: str, code: str, hint: str | None) -> None:
    with pytest.raises(PerdureError) as caught:
        parse_target(text)
    assert caught.value.code == code
    assert (hint in (caught.value.help or "")) if hint else caught.value.help is None


def test_a_syntax_error_shows_its_line(root: Path) -> None:
    with pytest.raises(PerdureError) as caught:
        parse_target("bad.py:f")
    assert caught.value.render() == "error[P0113] bad.py:1:7 invalid syntax\n  def f(:\n        ^"


def test_entry_points_are_checked_for_deployed_code_too(root: Path) -> None:
    assert check_entry_point(root / "entry", "sub/jobs.py:first") == "sub/jobs.py:first"
    with pytest.raises(PerdureError) as caught:
        check_entry_point(root, "events:on_push")
    assert caught.value.code == "P0114"
