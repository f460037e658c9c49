"""An at_most_once activity is never repeated: after a crash in the middle user code is told so."""

import perdure
from web import get, request


@perdure.activity(at_most_once=True)
def charge(url):
    return request("POST", url, b"charged").decode()


def main(event):
    get(event["url"] + "/before")
    try:
        outcome = charge(event["url"] + "/charge")
    except perdure.ActivityInterrupted:
        outcome = "unknown"
    return [outcome, get(event["url"] + "/after")]


CASE = {
    "result": ["charged", "after"],
    "alternative": ["unknown", "after"],
    "once": ["POST /charge"],
    "calls": ["activity web.get", "activity at_most_once.charge", "activity web.get"],
    "effects": 3,
}
