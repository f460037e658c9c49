"""A package in a package."""


def names():
    return ["tea", "sugar"]
