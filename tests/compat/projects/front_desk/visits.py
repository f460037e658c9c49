"""Visits: each is one workflow, from the arrival to the departure."""

import os
import random
from datetime import timedelta

import autokitteh
from autokitteh import Event, http_outcome, next_event, subscribe, unsubscribe
from autokitteh.store import set_value
from guestbook import badge_of, note

GREETING = os.getenv("GREETING")
PATIENCE = timedelta(seconds=int(os.getenv("PATIENCE_SECONDS", "1")))


@autokitteh.activity
def draw_locker():
    return random.randint(1, 10**9)


def on_arrival(event: Event, session_id: str):
    name = event.data.body.json.name
    locker = draw_locker()
    print(f"{GREETING}, {name}! The door opens with {os.environ['DOOR_CODE']}.")

    left = subscribe("departure", f"data.body.json.name == '{name}'")
    note(name, "arrived", session=session_id, badge=badge_of(name), method=event.data["method"])
    gone = next_event(left, timeout=PATIENCE, full=True)
    unsubscribe(left)

    if gone is None:
        print(f"{name} stayed.")
        return
    note(name, "left", locker=locker, same_locker=draw_locker.__name__ == "draw_locker")
    http_outcome(200, json={"bye": name, "locker": locker}, headers={"X-Desk": "front"}, event_id=gone.event_id)
    set_value(f"kinds:{name}", [type(gone).__name__, gone.event_type, event.event_type])
