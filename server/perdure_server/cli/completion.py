"""`perdure completion SHELL`: the script that makes a shell complete commands, options and session ids."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from perdure_server.cli import render

COMPLETION_VARIABLE = "_PERDURE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    For bash put this into ~/.bashrc: eval "$(perdure completion bash)"
    """
    maker = get_completion_class(shell)
    assert maker is not None
    render.show(maker(ctx.find_root().command, {}, "perdure", COMPLETION_VARIABLE).source())
