"""A result above the manifest's limit."""

import perdure


@perdure.activity
def big():
    return "x" * 200_000


def main(event):
    big()


CASE = {"error": "ValueTooLarge", "code": "P0402", "says": "limit"}
