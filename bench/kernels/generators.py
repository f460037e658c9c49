"""Generators, comprehensions and closures: a small pipeline over numbers."""

from itertools import islice


def numbers():
    n = 0
    while True:
        yield n
        n += 1


def only(condition, items):
    for item in items:
        if condition(item):
            yield item


def changed(change, items):
    return (change(item) for item in items)


def scaled(factor):
    def scale(value):
        return value * factor

    return scale


def walk(nested):
    for item in nested:
        if isinstance(item, list):
            yield from walk(item)
        else:
            yield item


def run(size):
    total = 0
    for factor in range(1, size + 1):
        odd = only(lambda n: n % 2, numbers())
        pairs = [[value, [value + 1]] for value in islice(changed(scaled(factor), odd), 400)]
        total += sum(walk(pairs)) + len({value: str(value) for value in walk(pairs)})
    return total
