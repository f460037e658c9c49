"""Faults of ours in what sessions ask for: what the session is told, and what the log."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final

from perdure_server.core.errors import PerdureError

log: Final = logging.getLogger("perdure.coordinator")

_QUIET_US: Final = 60_000_000  # between two tracebacks of the same fault
_KINDS: Final = 64  # of faults that are told apart: the log gets no more tracebacks than that in `_QUIET_US`


@dataclass(slots=True)
class _Told:
    at_us: int
    unsaid: int = 0  # times since then


class Failures:
    """Writes the log. Sessions may meet the same fault as often as they like: its traceback is there once a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # operations run in the writer's thread, too
        self._told: dict[tuple[str, str, str], _Told] = {}  # the one that was told first comes first

    def refusal(self, operation: str, session_id: str, error: Exception, now_us: int) -> PerdureError:
        """Why nothing was done. What no operation has foreseen (P0703) goes to the log, and ends no session."""
        if isinstance(error, PerdureError):
            return error
        self._tell((operation, type(error).__name__, _place(error)), session_id, error, now_us)
        return PerdureError(
            "P0703",
            f"the server failed at {operation}: {type(error).__name__}",
            help="nothing was done; the server's log has the traceback",
        )

    def _tell(self, fault: tuple[str, str, str], session_id: str, error: Exception, now_us: int) -> None:
        with self._lock:
            told = self._told.get(fault)
            if told is not None and now_us < told.at_us + _QUIET_US:
                told.unsaid += 1
                return
            self._told.pop(fault, None)
            if len(self._told) >= _KINDS:
                first, oldest = next(iter(self._told.items()))
                if now_us < oldest.at_us + _QUIET_US:
                    return
                del self._told[first]
            self._told[fault] = _Told(now_us)
        unsaid = f", and {told.unsaid} times since it was told last" if told is not None and told.unsaid else ""
        log.error("P0703: %s of session %s failed%s", fault[0], session_id, unsaid, exc_info=error)


def _place(error: Exception) -> str:
    """Where it was raised."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at is not None else ""
