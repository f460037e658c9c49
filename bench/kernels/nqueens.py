"""Recursion in generators over small collections: all ways to place queens on a board."""


def placements(size, rows, taken, rising, falling):
    column = len(rows)
    if column == size:
        yield tuple(rows)
        return
    for row in range(size):
        if row not in taken and row + column not in rising and row - column not in falling:
            yield from placements(size, [*rows, row], taken | {row}, rising | {row + column}, falling | {row - column})


def mirrored(rows):
    return tuple(reversed(rows))


def distinct(size):
    seen = set()
    for rows in placements(size, [], frozenset(), frozenset(), frozenset()):
        if mirrored(rows) not in seen:
            seen.add(rows)
    return len(seen)


def run(size):
    return sum(distinct(6) for _ in range(size))
