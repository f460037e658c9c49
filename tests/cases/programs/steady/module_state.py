"""Global variables, state in another module of the user's, mutable defaults."""

import counters
from web import get

total = 0


def remember(text, seen=[]):
    seen.append(text)
    return list(seen)


def main(event):
    global total
    for i in range(3):
        total += int(get(f"{event['url']}/{i + 10}"))
        counters.bump(f"k{i % 2}")
        history = remember(str(total))
    return [total, counters.COUNTS, history, counters.CALLS]


CASE = {
    "result": [33, {"k0": 2, "k1": 1}, ["10", "21", "33"], 3],
    "calls": ["activity web.get"] * 3,
    "effects": 3,
}
