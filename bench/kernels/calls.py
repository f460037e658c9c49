"""The smallest internal call, and the loop around it without the call."""


def nothing():
    pass


def calling(count):
    for _ in range(count):
        nothing()


def empty(count):
    for _ in range(count):
        pass
