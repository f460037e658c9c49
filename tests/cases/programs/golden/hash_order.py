"""Sets of texts are iterated in the same order in every replay, although hashes of texts differ between processes."""

from enum import Enum

from web import get


class Colour(Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


def main(event):
    words = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"}
    order = []
    for word in words:
        order.append(get(f"{event['url']}/{word}"))
    print(order)
    colours = [colour.name for colour in set(Colour)]
    frozen = list(frozenset(words) - {"beta"})
    number = hash("perdure")
    return [order, colours, frozen, number, hash(("a", 1)), get(event["url"] + "/end")]


CASE = {
    "check": "prints == [str(result[0])] and sorted(result[0])[0] == 'alpha' and len(result[2]) == 7",
    "calls": ["activity web.get"] * 9,
    "effects": 9,
}
