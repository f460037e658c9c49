"""A race: a workflow that starts runners, waits for signals on the way and for all to end."""

from datetime import timedelta

import autokitteh
from autokitteh import AttrDict, Signal, next_signal, start


def on_fan_out(event, session_id):
    race = AttrDict(event.data.body.json)
    autokitteh.set_value("race", session_id)
    runners = [start("runner.py:run", {"number": n, "race": session_id}, memo={"lane": str(n)}) for n in race.numbers]

    half_way = [next_signal("half", timeout=60).payload for _ in runners]
    ends = []
    while len(ends) < len(runners):
        told: Signal = next_signal(runners, timeout=timedelta(minutes=1))
        ends.append([told.payload["completed"], told.payload["value"]])

    word = next_signal(["go", "stop"], timeout=60)
    late = next_signal("never", timeout=0.01)
    autokitteh.set_value(
        "result", {"half": sorted(half_way), "ends": sorted(ends, key=str), "word": [word.name, word.payload]}
    )
    return late
