"""Default factories of dataclasses ask for the time and for identifiers from library code."""

import time
import uuid
from dataclasses import asdict, dataclass, field, replace

from web import post


@dataclass
class Order:
    item: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    raw: uuid.UUID = field(default_factory=uuid.uuid4)
    at: float = field(default_factory=time.time)

    def __post_init__(self):
        self.label = f"{self.item}-{self.id[:4]}"


def main(event):
    order = Order("tea")
    other = replace(order, item="cup")
    print(order.id, order.raw, order.at)
    sent = post(event["url"] + "/order", order.label)
    return {**asdict(order), "raw": str(order.raw), "sent": sent, "label": order.label, "same": other.id == order.id}


CASE = {
    "check": "prints == [f\"{result['id']} {result['raw']} {result['at']}\"] and result['sent'] == result['label']"
    " and result['same'] and len(result['id']) == 32",
    "calls": ["marker uuid.uuid4", "marker uuid.uuid4", "marker time.time", "activity web.post"],
    "effects": 1,
}
