"""What a project may say that it requires, and where it is told what it may not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from perdure_server.core.errors import PerdureError, Problems
from perdure_server.environments.interpreter import minor_version
from perdure_server.environments.reading import Wanted, wanted
from perdure_server.manifest.manifest import load_manifest

OURS = "{}.{}".format(*sys.version_info)


def read(root: Path, **files: str) -> Wanted | None:
    for name, text in files.items():
        path = root / name.replace("__", ".").replace("_in_", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return wanted(root, load_manifest(root))


def texts(found: Wanted | None) -> list[str]:
    assert found is not None
    return [each.text for each in found.requirements]


def problems(root: Path, **files: str) -> list[tuple[str, str, str]]:
    with pytest.raises(PerdureError) as caught:
        read(root, **files)
    every = caught.value.problems if isinstance(caught.value, Problems) else [caught.value]
    return [(each.code, each.location, each.message) for each in every]


def test_no_files_no_requirements(tmp_path: Path) -> None:
    assert read(tmp_path, main__py="") is None


def test_lines_comments_continuations_markers_and_extras(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        requirements__txt="# all of it\nA_b.c [x, y] >= 1 ,<2  # why\n\n"
        "pinned==1.0 \\\n  --hash=sha256:aa \\\n  --hash=sha256:bb\n"
        'old ; python_version < "3"\nany\n',
    )
    assert texts(found) == ["A_b.c [x, y] >= 1 ,<2", "pinned==1.0", 'old ; python_version < "3"', "any"]
    assert found is not None
    assert [r.name for r in found.requirements] == ["a-b-c", "pinned", "old", "any"]
    assert found.requirements[1].hashes == ("sha256:aa", "sha256:bb")
    assert found.requirements[1].place.line == 4
    assert found.python == OURS


def test_files_of_the_project_are_included_each_once(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        requirements__txt="-r more/base.txt\n-c bounds.txt\ntop\n",
        more_in_base__txt="base\n-r ../requirements.txt\n",
        bounds__txt="base<2\n",
    )
    assert texts(found) == ["base", "top"]
    assert found is not None
    assert [r.text for r in found.constraints] == ["base<2"]


def test_perdure_itself_is_brought_by_hosts(tmp_path: Path) -> None:
    assert read(tmp_path, requirements__txt="perdure[docker]>=1\n") is None
    assert texts(read(tmp_path, requirements__txt="Perdure\nother\n")) == ["other"]


def test_pyproject_where_there_is_no_requirements_file(tmp_path: Path) -> None:
    assert read(tmp_path, pyproject__toml="[tool.ruff]\nline-length = 100\n") is None
    assert texts(read(tmp_path, pyproject__toml='[project]\ndependencies = ["one>=1", "two"]\n')) == ["one>=1", "two"]
    assert texts(read(tmp_path, requirements__txt="three\n")) == ["three"]


def test_the_manifest_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("from-file\n")
    assert texts(read(tmp_path, perdure__yaml="requirements: [listed]\n")) == ["listed"]
    assert read(tmp_path, perdure__yaml="requirements: none\n") is None
    found = read(tmp_path, perdure__yaml="requirements: {file: other.txt, allow_sdists: true}\n", other__txt="o\n")
    assert texts(found) == ["o"]
    assert found is not None
    assert found.sdists


REFUSED = {
    "-e .": (1, "an editable package is on one machine only"),
    "--editable=lib": (1, "an editable package is on one machine only"),
    "-r ../other.txt": (4, "../other.txt is outside of the project's folder"),
    "-c /etc/passwd": (4, "/etc/passwd is outside of the project's folder"),
    "-r nowhere.txt": (4, "nowhere.txt cannot be read: No such file or directory"),
    "--index-url https://example.com": (1, "--index-url: a project cannot choose where packages come from"),
    "--find-links=/tmp": (1, "--find-links: a project cannot choose where packages come from"),
    "--pre": (1, "--pre is not supported"),
    "https://example.com/x.whl": (1, "a package from an address"),
    "x @ git+https://example.com/x": (3, "a package from an address"),
    "x@file:///etc": (2, "a package from an address"),
    "./lib": (1, "a package from a path"),
    "/lib": (1, "a package from a path"),
    "x-1.0-py3-none-any.whl": (1, "a package from a path"),
    "x --config-settings=a=b": (3, "--config-settings is not supported"),
    "x==${VERSION}": (1, "'x==${VERSION}' is no requirement"),
    "x bogus": (1, "'x bogus' is no requirement"),
    "x[": (1, "'x[' is no requirement"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused_is_told_with_its_place(tmp_path: Path, line: str) -> None:
    column, message = REFUSED[line]
    assert problems(tmp_path, requirements__txt=f"fine\n{line}\n") == [
        ("P0303", f"requirements.txt:2:{column}", message)
    ]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, requirements__txt="-e .\nok\n./lib\n")) == 2


def test_problems_of_pyproject_have_their_line(tmp_path: Path) -> None:
    text = '[project]\nname = "x"\ndependencies = [\n  "fine",\n  "x @ file:///x",\n]\n'
    assert problems(tmp_path, pyproject__toml=text) == [("P0303", "pyproject.toml:5:6", "a package from an address")]
    assert problems(tmp_path, pyproject__toml='[project]\ndynamic = ["dependencies"]\n') == [
        ("P0303", "pyproject.toml:2:1", "dependencies are dynamic")
    ]
    assert problems(tmp_path, pyproject__toml="[project\n")[0][:2] == ("P0303", "pyproject.toml:1:1")


def test_links_out_of_the_project_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret\n")
    root = tmp_path / "project"
    root.mkdir()
    (root / "requirements.txt").symlink_to("../outside.txt")
    assert problems(root)[0][2] == "requirements.txt is outside of the project's folder"


def test_for_which_python() -> None:
    assert minor_version("") == minor_version(sys.executable) == OURS
    assert minor_version("3.12") == minor_version("3.12.1") == "3.12"
    assert minor_version("/opt/python/bin/python3.13") == "3.13"
    with pytest.raises(PerdureError, match=r"a version of Python, which /opt/py does not tell"):
        minor_version("/opt/py")
