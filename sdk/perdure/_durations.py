"""Durations as users give them."""

import math
from datetime import timedelta


def seconds_of(what: str, duration: object, *, positive: bool = False) -> float:
    """`duration` (seconds, or a timedelta) in seconds. Raises TypeError, or ValueError if negative or not finite."""
    if isinstance(duration, timedelta):
        seconds = duration.total_seconds()
    elif isinstance(duration, int | float) and not isinstance(duration, bool):
        seconds = float(duration)
    else:
        raise TypeError(f"{what} must be a number of seconds or a timedelta, not {duration!r}")
    if not math.isfinite(seconds) or seconds < 0 or (positive and seconds == 0):
        raise ValueError(f"{what} must be {'more than 0' if positive else 'at least 0'} and finite, not {duration!r}")
    return seconds
