"""A package that is not there: its name, who wants it and where to add it."""

import no_such_package_at_all


def main(event):
    return no_such_package_at_all.work()


CASE = {"code": "P0301", "says": "no_such_package_at_all"}
