"""docs/reference/cli.md names every command, option, setting and exit code; it fails here when one is missing."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from perdure_server.cli.main import LazyGroup, cli
from perdure_server.cli.settings import SETTINGS
from perdure_server.core.errors import Exit

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
_COMMON = {"--help", "--server", "--home", "--json"}


def commands(group: LazyGroup = cli, path: str = "perdure") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, LazyGroup):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


ALL = list(commands())


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_command_has_a_section_that_names_its_options(name: str, command: click.Command) -> None:
    found = re.search(rf"^### `{name}\b.*?(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no section for {name}"
    if name == "perdure config":
        return  # its flags are the settings
    options = {opt for param in command.params if isinstance(param, click.Option) for opt in param.opts}
    missing = {opt for opt in options - _COMMON if f"`{opt}" not in found[0] and f"/`{opt}" not in found[0]}
    assert not missing


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_command_and_option_has_help(name: str, command: click.Command) -> None:
    assert command.help
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{name} {param.opts[0]}"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_has_its_row(setting: object) -> None:
    row = f"| `{setting.name}` | `{setting.variable}` |"  # type: ignore[attr-defined]
    assert row in PAGE
    assert setting.doc in PAGE  # type: ignore[attr-defined]


def test_every_exit_code_is_explained() -> None:
    for code in (*Exit, 70, 130):
        assert f"| {int(code)} |" in PAGE
