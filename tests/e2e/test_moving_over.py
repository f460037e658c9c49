"""A team that comes from AutoKitteh types `perdure deploy` in its project's folder, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal, opened

MANIFEST = """
    version: {version}
    project:
      name: meow
      triggers:
        - name: meow
          type: webhook
          call: program.py:on_meow
"""
CODE = """
    import autokitteh


    def on_meow(event):
        autokitteh.add_values("heard", 1)
        print(event.data.sound)
"""


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path) -> Iterator[Terminal]:
    with opened(tmp_path) as terminal:
        yield terminal


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_deploy_is_all_that_is_typed(terminal: Terminal, version: str) -> None:
    files = [
        terminal.write("meow/autokitteh.yaml", MANIFEST.replace("{version}", version)),
        terminal.write("meow/program.py", CODE),
    ]
    before = [file.read_bytes() for file in files]
    here = terminal.folder / "meow"
    made = terminal.run("deploy", "--json", cwd=here).document
    assert (made["project"], [each["name"] for each in made["triggers"]]) == ("meow", ["meow"])
    assert "nobody listens for webhooks" in terminal.run("deploy", cwd=here).err
    ran = terminal.run(
        "start", "program.py:on_meow", "--event", '{"sound": "purr"}', "--wait", "--json", cwd=here
    ).document
    assert (ran["state"], ran["prints"]) == ("completed", ["purr"])
    assert terminal.run("store", "get", "heard", cwd=here).out == "1\n"
    assert [file.read_bytes() for file in files] == before
