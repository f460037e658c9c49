"""An activity that changes its argument and then raises: both reach user code, live and in replay."""

import perdure
from web import get, request


class Refused(Exception):
    def __init__(self, order, *, reason):
        super().__init__(f"refused: {reason}")
        self.order = order
        self.reason = reason


@perdure.activity
def submit(url, order, trail):
    request("GET", url + "/submit")
    order["state"] = "refused"
    trail.append(order)
    raise Refused(order, reason="too dear")


def main(event):
    order, trail = {"id": 1}, []
    try:
        submit(event["url"], order, trail)
    except Refused as error:
        caught = [str(error), error.reason, error.order is order]
    get(f"{event['url']}/{order['state']}")
    return [caught, order, trail[0] is order, len(trail)]


CASE = {
    "result": [["refused: too dear", "too dear", True], {"id": 1, "state": "refused"}, True, 1],
    "calls": ["activity change_and_raise.submit", "activity web.get"],
    "effects": 2,
}
