"""Exports are found without running anything, and no file can bring down who looks at it."""

import textwrap
from pathlib import Path

import pytest
from perdure_server.manifest import exports as module
from perdure_server.manifest.exports import Export, find_exports


def project(root: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
    return root


@pytest.mark.parametrize("isolated", [False, True])
def test_functions_and_classes_of_all_files(tmp_path: Path, isolated: bool) -> None:
    root = project(
        tmp_path,
        main="""
            import os
            X = 1
            raise SystemExit  # never run
            @decorator
            def on_event(event, /, a, *rest, flag=1, **more): ...
            async def later(event):
                def inner(): ...
            class Thing:
                def __init__(self, size, *, colour=None): ...
            class Bare: ...
            if X:
                def conditional(): ...
            try:
                def tried(): ...
            except Exception:
                def handled(): ...
        """,
        package__sub__mod="def deep(event): ...",
    )
    (root / ".hidden").mkdir()
    (root / ".hidden/x.py").write_text("def no(): ...")
    found = find_exports(root, isolated=isolated)
    assert found.problems == ()
    assert found.exports == (
        Export("main.py", 6, "on_event", ("event", "a", "*rest", "flag", "**more")),
        Export("main.py", 7, "later", ("event",)),
        Export("main.py", 9, "Thing", ("size", "colour")),
        Export("main.py", 11, "Bare", ()),
        Export("main.py", 13, "conditional", ()),
        Export("main.py", 15, "tried", ()),
        Export("main.py", 17, "handled", ()),
        Export("package/sub/mod.py", 1, "deep", ("event",)),
    )


def test_a_syntax_error_shows_its_place_and_spoils_no_other_file(tmp_path: Path) -> None:
    found = find_exports(project(tmp_path, bad="x = 1\ndef f(:\n    pass\n", good="def g(): ..."))
    assert [export.name for export in found.exports] == ["g"]
    (problem,) = found.problems
    assert problem.render() == "error[P0113] bad.py:2:7 invalid syntax\n  def f(:\n        ^"


HOSTILE = {
    "nul": b"x = 1\0",
    "encoding": b"# coding: nonsense\nx = 1\n",
    "not_utf8": b"x = '\xff'\n",
    "parentheses": b"(" * 100_000,
    "unary": b"-" * 1_000_000 + b"1",
    "attributes": b"x" + b".a" * 1_000_000,
    "blocks": b"\n".join(b" " * n + b"if x:" for n in range(200)),
    "only_the_compiler_sees": b"return 1\n",
    "huge": b"#" * (4 * 1024 * 1024 + 1),
    "many": b"def f(): ...\n" * 10_001,
    "number": b"x = " + b"9" * 10_000,
}


def test_hostile_files_are_problems_and_the_others_are_read(tmp_path: Path) -> None:
    root = project(tmp_path, **HOSTILE, zz_last="def last(): ...")
    found = find_exports(root, isolated=True)
    assert [export.name for export in found.exports] == ["last"]
    assert sorted({problem.file for problem in found.problems}) == sorted(f"{name}.py" for name in HOSTILE)
    assert {problem.code for problem in found.problems} == {"P0113"}


def test_a_file_that_kills_or_hangs_the_scanner_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = tmp_path / "scanner.py"
    scanner.write_text(
        "import sys, os, time\n"
        "for path in sys.stdin.read().splitlines():\n"
        "    if 'kills' in path: os.abort()\n"
        "    if 'hangs' in path: time.sleep(60)\n"
        "    print('[]', flush=True)\n"
    )
    monkeypatch.setattr(module.scan, "__file__", str(scanner))
    monkeypatch.setattr(module, "ISOLATED_TIMEOUT_S", 1.0)
    root = project(tmp_path / "root", a="", b_kills="", c="", d_hangs="", e="", f_kills="")
    found = find_exports(root, isolated=True)
    assert [problem.file for problem in found.problems] == ["b_kills.py", "d_hangs.py", "f_kills.py"]


def test_a_project_that_kills_the_scanner_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner = tmp_path / "scanner.py"
    scanner.write_text("import os; os.abort()")
    monkeypatch.setattr(module.scan, "__file__", str(scanner))
    found = find_exports(project(tmp_path / "root", **{f"f{n}": "" for n in range(9)}), isolated=True)
    assert len(found.problems) == 9
