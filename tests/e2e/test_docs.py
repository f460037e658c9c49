"""Documentation is executed: every command of the README, and every page of docs/ that has a file and commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```(?P<language>\w+)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
MAKE_ITSELF = {"make test": "this suite is what it runs", "make setup": "done before this suite can run"}


def blocks(page):
    return [m.groupdict() for m in BLOCK.finditer(page.read_text())]


def commands(page):
    for block in blocks(page):
        if block["language"] == "sh":
            yield from (line.partition(" #")[0].strip() for line in block["text"].splitlines() if line.strip())


def shell(command, folder, timeout=280):
    patient = {"NO_COLOR": "1", "PERDURE_CONNECT_TIMEOUT": "60"}
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **patient}
    run = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout
    )
    assert run.returncode == 0, f"$ {command}\n{run.stdout}\n{run.stderr}"
    return run


@pytest.mark.timeout(900)
def test_every_command_of_the_readme_works(tmp_path):
    """In a copy of the tree without its environments: commands may leave their traces there."""
    ignored = shutil.ignore_patterns(".git", ".venv*", ".perdure", "__pycache__", ".*_cache", ".hypothesis", "build")
    tree = tmp_path / "perdure"
    shutil.copytree(ROOT, tree, ignore=ignored)
    (tree / ".venv").symlink_to(Path(sys.prefix))
    (tree / ".venv" / "installed").touch()
    ran = [command for command in commands(ROOT / "README.md") if command not in MAKE_ITSELF]
    assert any(command.startswith("make run") for command in ran)
    for command in ran:
        shell(command, tree)


PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if any(b["file"] for b in blocks(p)))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_files_and_commands_of_a_page_work(page, tmp_path):
    for block in blocks(page):
        if block["file"]:
            file = tmp_path / block["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block["text"])
    ran = list(commands(page))
    assert ran, "a page that has files says what to do with them"
    for command in ran:
        shell(command, tmp_path)


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
