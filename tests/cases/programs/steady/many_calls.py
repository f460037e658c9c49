"""Sixty calls in a loop: history in more than one page of records, batches and acknowledgements."""

import sys


def main(event):
    sys.path.append(event["lib"])
    import outside

    total = 0
    for number in range(60):
        total += len(outside.get(f"{event['url']}/{number}"))
        if number % 20 == 0:
            print("at", number)
    return total


CASE = {
    "result": 110,
    "prints": ["at 0", "at 20", "at 40"],
    "calls": ["activity outside.get"] * 60,
    "effects": 60,
    "heavy": True,
    "long": True,
}
