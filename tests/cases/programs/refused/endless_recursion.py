"""User code that recurses without end fails as Python says, not as a fault of perdure."""


def deeper(n):
    return deeper(n + 1)


def main(event):
    return deeper(0)


CASE = {"error": "RecursionError", "says": "recursion"}
