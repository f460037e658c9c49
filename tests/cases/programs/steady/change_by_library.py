"""A function of a library that changes its argument in place."""

import sys


def main(event):
    sys.path.append(event["lib"])
    import outside

    numbers = [1]
    alias = numbers
    length = outside.extend(numbers)
    outside.extend(numbers)
    outside.get(event["url"] + "/end")
    return [numbers, length, alias is numbers]


CASE = {
    "result": [[1, 1, 2], 2, True],
    "calls": ["activity outside.extend"] * 2 + ["activity outside.get"],
    "effects": 1,
}
