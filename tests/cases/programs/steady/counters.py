"""Part of module_state.py: a module that keeps state."""

COUNTS = {}
CALLS = 0


def bump(name):
    global CALLS
    CALLS += 1
    COUNTS[name] = COUNTS.get(name, 0) + 1
