"""Objects of user classes as results: state, cycles, shared parts, slots, own reduction; and as arguments."""

import perdure


class Node:
    def __init__(self, name):
        self.name = name
        self.next = None


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


class Reduced:
    def __init__(self, text):
        self.text = text

    def __reduce__(self):
        return (Reduced, (self.text + "'",))


@perdure.activity
def ring():
    first, second = Node("first"), Node("second")
    first.next, second.next = second, first
    return first


@perdure.activity
def parts():
    shared = ["s"]
    return [shared, shared, Slotted(1, shared), Reduced("r")]


@perdure.activity
def describe(node, other=None):
    return f"{node.name} -> {node.next.name}, {other and other.a}"


def main(event):
    first = ring()
    assert first.next.next is first
    shared, again, slotted, reduced = parts()
    assert shared is again and slotted.b is shared
    class Local:
        a = 5

    return [describe(first, Slotted(3, 4)), slotted.a, reduced.text.rstrip("'"), describe(first.next, other=Local())]


CASE = {
    "result": ["first -> second, 3", 1, "r", "second -> first, 5"],
    "calls": [
        "activity user_classes.ring",
        "activity user_classes.parts",
        "activity user_classes.describe",
        "activity user_classes.describe",
    ],
    "effects": 0,
}
