"""`perdure`: the group of all commands, and what becomes of what goes wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

EXIT_FAULT = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130


class Lazy(NamedTuple):
    """A command that is imported when it is used: `--help` needs only its line here."""

    module: str
    attribute: str
    help: str


COMMANDS: dict[str, Lazy] = {
    "run": Lazy("run", "run", "Run a handler here, durably, and wait for its end."),
    "resume": Lazy("run", "resume", "Finish what a killed or interrupted `run` began."),
    "dev": Lazy("dev", "dev", "Serve a folder and deploy it again whenever it changes."),
    "serve": Lazy("serve", "serve", "Run the coordinator."),
    "host": Lazy("serve", "host", "Run a host that takes sessions from a coordinator."),
    "deploy": Lazy("deploy", "deploy", "Build a folder, check it and make it live."),
    "start": Lazy("deploy", "start", "Start a session of a deployed project."),
    "manifest": Lazy("manifest", "manifest", "Check a manifest, and see what deploying it would change."),
    "vars": Lazy("vars", "variables", "Set variables and secrets of a project."),
    "triggers": Lazy("triggers", "triggers", "Look at what starts sessions, and try events on it."),
    "events": Lazy("events", "events", "Look at what came in from outside; send and redispatch it."),
    "signal": Lazy("steer", "signal", "Send a signal to a session, or wake it."),
    "store": Lazy("store", "store", "Look at and change a project's key-value store."),
    "projects": Lazy("projects", "projects", "Look at projects, and delete them."),
    "deployments": Lazy("deployments", "deployments", "Look at what was made live and when; end it."),
    "builds": Lazy("stored_builds", "builds", "Look at builds: user code as it was deployed."),
    "gc": Lazy("stored_builds", "gc", "Delete old sessions and events, and what nothing refers to."),
    "connections": Lazy("connections", "connections", "Give projects named credentials for services."),
    "tokens": Lazy("tokens", "tokens", "Make, list and revoke the tokens that clients show."),
    "sessions": Lazy("sessions", "sessions", "Look at sessions, steer and replay them."),
    "hosts": Lazy("hosts", "hosts", "Look at the hosts that run sessions, invite and empty them."),
    "images": Lazy("images", "images", "Make, list and remove images for runners in Docker."),
    "check": Lazy("check", "check", "Crash a handler after every journal entry; report what differs."),
    "doctor": Lazy("doctor", "doctor", "Say what this machine has and lacks, with the remedies."),
    "explain": Lazy("explain", "explain", "Explain an error code at length."),
    "explain-call": Lazy("explain_call", "explain_call", "Say whether a call of the source is recorded, and why."),
    "config": Lazy("config", "config", "Show all settings and where their values come from."),
    "version": Lazy("version", "version", "Show the version of the client, and of the server."),
    "completion": Lazy("completion", "completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group whose commands are lines of a table until one of them is called."""

    def __init__(self, table: dict[str, Lazy], **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]  # click's own keywords, passed through
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names, in the table's order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import the command."""
        if (lazy := self.table.get(cmd_name)) is None:
            return None
        command = getattr(import_module(f"perdure_server.cli.{lazy.module}"), lazy.attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is answered with the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from perdure_server.core.errors import did_you_mean

            if hint := did_you_mean(args[0], self.table):
                raise click.UsageError(f"{error.message.rstrip('.')}; {hint}", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self.table.items()])


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from perdure._version import __version__

        click.echo(__version__)
        ctx.exit()


cli = LazyGroup(
    COMMANDS,
    name="perdure",
    help="Plain Python handlers that survive crashes, restarts and months of waiting.\n\n"
    "Data goes to stdout, talk to stderr. Exit codes: 0 completed, 1 failed or stopped, 2 usage, "
    "3 coordinator unreachable, 4 diverged.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version.",
        )
    ],
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit the process with its code (docs/reference/cli.md)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # what users print may hold lone surrogates
    code = invoke(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _reader_left()
    sys.exit(code)


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Whatever goes wrong is said on stderr, never as a traceback of ours."""
    from perdure_server.core.errors import PerdureError, exit_code

    try:
        result = cli.main(args=arguments, prog_name="perdure", standalone_mode=False)
    except PerdureError as error:
        from perdure_server.cli import render

        render.problem(error)
        return exit_code(error)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except Exception as fault:  # noqa: BLE001  # the last resort: a fault of ours becomes one line, not a traceback
        return _fault(fault)
    return result if isinstance(result, int) else 0


def _reader_left() -> int:
    """Whoever read our stdout (`head`, a pager) is gone: be silent, and keep Python's own flush at exit silent too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _fault(fault: Exception) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="perdure-fault-", suffix=".txt", delete=False) as file:
        traceback.print_exception(fault, file=file)
    what = f"{type(fault).__name__}: {fault}".splitlines()[0]
    click.echo(f"perdure has a fault: {what}\n  the traceback is in {file.name}; please report it", err=True)
    return EXIT_FAULT
