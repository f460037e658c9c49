"""The server's own log, on stderr. What peers say of themselves is in it, so a record is one line and only text."""

from __future__ import annotations

import logging
import sys
from typing import Final

_FORMAT: Final = "%(levelname)s %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """Control characters, line ends among them, become escapes: nobody can forge a line, or drive a terminal.

    The traceback of a fault of ours keeps its lines.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        return super().format(logging.makeLogRecord(record.__dict__ | {"msg": plain, "args": None}))


def to_stderr(level: int = logging.WARNING) -> None:
    """Show what perdure logs from `level` on; nothing twice, whoever calls this again."""
    log = logging.getLogger("perdure")
    if not any(isinstance(handler.formatter, OneLine) for handler in log.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(OneLine(_FORMAT))
        log.addHandler(handler)
        log.setLevel(level)
        log.propagate = False
