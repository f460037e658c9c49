"""One runner."""

from autokitteh import signal


def run(event, session_id):
    number = event.data.number
    signal(event.data.race, "half", number)
    if number < 0:
        raise ValueError("fell")
    return {"number": number, "squared": number**2, "own": session_id.startswith("ses_")}
