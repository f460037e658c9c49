"""Objects of the user's classes that an activity changes: attributes, slots, dataclasses, the receiver itself."""

import dataclasses

import perdure
from web import get, request


@dataclasses.dataclass
class Order:
    id: int
    lines: list = dataclasses.field(default_factory=list)


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self):
        self.left = 1


class Basket(list):
    def __init__(self):
        super().__init__()
        self.total = 0

    def __setattr__(self, name, value):
        super().__setattr__(name, value)


class Client:
    def __init__(self, url):
        self.url = url
        self.calls = 0
        self.lock = None
        self.seen = {}

    @perdure.activity
    def get(self, path, order):
        text = request("GET", self.url + path).decode()
        self.calls += 1
        self.seen[path] = order
        order.lines.append({"path": path, "client": self})
        return text


@perdure.activity
def change(url, slotted, basket):
    request("GET", url + "/change")
    slotted.right = slotted.left + 1
    del slotted.left
    basket.append("apple")
    basket.total += 3


def main(event):
    client, order, slotted, basket = Client(event["url"]), Order(1), Slotted(), Basket()
    lines = order.lines
    texts = [client.get("/a", order), client.get("/b", order)]
    change(event["url"], slotted, basket)
    get(f"{event['url']}/{client.calls}")
    return [
        *(texts, client.calls, list(client.seen), client.seen["/a"] is order, order.lines is lines, len(lines)),
        *(lines[0]["client"] is client, hasattr(slotted, "left"), slotted.right, list(basket), basket.total),
    ]


CASE = {
    "result": [["a", "b"], 2, ["/a", "/b"], True, True, 2, True, False, 2, ["apple"], 3],
    "calls": ["activity change_objects.Client.get"] * 2 + ["activity change_objects.change", "activity web.get"],
    "effects": 4,
}
