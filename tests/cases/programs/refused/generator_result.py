"""A generator cannot be a result."""

import perdure


@perdure.activity
def make():
    return (i for i in range(3))


def main(event):
    make()


CASE = {"error": "UnrecordableValue", "code": "P0401", "says": "generator"}
