"""The program waits until a signal comes; signals of other names stay in line."""

import perdure
from web import get


def main(event):
    seen = []
    for _ in range(2):
        signal = perdure.next_signal("approve", "reject", timeout=60)
        seen.append([signal.name, signal.payload])
        print(get(f"{event['url']}/{signal.name}"))
    other = perdure.next_signal()
    return [seen, other.name, other.payload]


CASE = {
    "plain": False,
    "signals": [["waiting", "other", "kept"], ["waiting", "reject", 1], ["waiting", "approve", None]],
    "result": [[["reject", 1], ["approve", None]], "other", "kept"],
    "prints": ["reject", "approve"],
    "calls": ["signal", "activity web.get", "signal", "activity web.get", "signal"],
    "effects": 2,
    "waits": True,
}
