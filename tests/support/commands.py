"""`perdure` in this process: what the fork server runs where a test needs many commands, and no process that starts."""

from __future__ import annotations

import sys

from perdure_server.cli.main import invoke


def perdure(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    code = invoke(arguments)
    sys.stdout.flush()
    return code
