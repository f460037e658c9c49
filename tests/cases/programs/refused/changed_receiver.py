"""A marked method that changes its object in place is refused."""

import perdure


class Counter:
    def __init__(self):
        self.count = 0

    @perdure.activity
    def bump(self):
        self.count += 1


def main(event):
    Counter().bump()


CASE = {"error": "InPlaceChange", "code": "P0403", "says": "bump"}
