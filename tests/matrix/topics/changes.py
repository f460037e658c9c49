"""What an activity changes beside its result, and which objects are one and the same afterwards."""

from matrix.probe import Probe

PROBES = [
    Probe(
        "list_argument",
        """
import abroad
def main(url):
    names = ["x"]
    alias = names
    n = abroad.extend(url, names)
    return [n, names, alias is names, len(alias)]
""",
        [2, ["x", "extended"], True, 2],
        "abroad.extend",
    ),
    Probe(
        "argument_returned",
        """
import abroad
def main(url):
    thing, inner = {"a": []}, []
    same = abroad.same(url, thing)
    pair = abroad.same(url, [inner, inner])
    same["b"] = 1
    return [same is thing, thing, pair[0] is pair[1], abroad.same(url, None)]
""",
        [True, {"a": [], "b": 1}, True, None],
        "abroad.same*3",
    ),
    Probe(
        "receiver_of_an_activity_method",
        """
import perdure, outside
class Counter:
    def __init__(self): self.n = 0
    @perdure.activity
    def add(self, url): self.n += len(outside.get(url)); return self
def main(url):
    c = Counter()
    return [c.add(url + "/abc") is c, c.n, c.add(url + "/d").n]
""",
        [True, 3, 4],
        asks=2,
    ),
    Probe(
        "shuffle",
        """
import random
def main(url):
    cards = list(range(20)); other = cards[:]
    alias = cards
    random.shuffle(cards)
    return [sorted(cards) == other, alias is cards, len(set(cards))]
""",
        [True, True, 20],
        "~random.shuffle",
        asks=0,
    ),
    Probe(
        "activity_on_a_dict",
        """
import perdure, outside
@perdure.activity
def fill(table, url): table["k"] = outside.get(url); table.pop("old", None)
def main(url):
    t = {"old": 1}
    fill(t, url + "/v")
    return t
""",
        {"k": "v"},
        asks=1,
    ),
    Probe(
        "activity_on_objects",
        """
import dataclasses, perdure, outside
@dataclasses.dataclass
class Order:
    items: list = dataclasses.field(default_factory=list)
    state: str = "new"
@perdure.activity
def ship(order, url):
    order.state = outside.get(url)
    order.items.append("label")
def main(url):
    o = Order()
    kept = o.items
    ship(o, url + "/shipped")
    return [o.state, kept, o.items is kept]
""",
        ["shipped", ["label"], True],
        asks=1,
    ),
    Probe(
        "module_globals_of_an_activity",
        """
import perdure, outside
SEEN = []
@perdure.activity
def note(url): SEEN.append(outside.get(url)); return len(SEEN)
def main(url):
    return [note(url + "/a"), note(url + "/b"), SEEN]
""",
        [1, 2, ["a", "b"]],
        asks=2,
    ),
    Probe(
        "readinto",
        """
def main(url, folder):
    with open(folder + "/f", "wb") as f: f.write(b"abcd")
    buffer = bytearray(4)
    with open(folder + "/f", "rb") as f: n = f.readinto(buffer)
    return [n, buffer.decode()]
""",
        [4, "abcd"],
    ),
    Probe(
        "external_mutable_object",
        """
import abroad
def main(url):
    r = abroad.Resource(url)
    r.extra = [1]
    a = r.fetch("a")
    r.extra = r.extra + [2]
    return [a, r.extra, r.fetch("b")]
""",
        ["a", [1, 2], "b"],
        "abroad.Resource abroad.Resource.__setattr__ abroad.Resource.fetch ~abroad.Resource.extra"
        " abroad.Resource.__setattr__ ~abroad.Resource.extra abroad.Resource.fetch",
    ),
    Probe(
        "set_order",
        """
import outside
def main(url):
    names = {outside.get(url + "/" + n) for n in ("pear", "apple", "fig")}
    order = list(names)
    return sorted(outside.get(url + "/" + n) for n in order)
""",
        ["apple", "fig", "pear"],
        "outside.get*6",
    ),
]
