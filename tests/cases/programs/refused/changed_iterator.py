"""An object changed in place whose state cannot be put back into it is refused."""

import itertools

import perdure


@perdure.activity
def draw(numbers):
    return next(numbers)


def main(event):
    draw(itertools.count())


CASE = {"error": "InPlaceChange", "code": "P0403", "says": "itertools.count"}
