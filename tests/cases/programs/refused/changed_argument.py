"""An external function that changes its argument in place is refused: replay could not do it again."""

import sys


def main(event):
    sys.path.append(event["lib"])
    import outside

    numbers = [1]
    outside.extend(numbers)


CASE = {"error": "InPlaceChange", "code": "P0403", "says": "extend"}
