"""The guard's rounds."""

from autokitteh import add_values


def on_round(event):
    print("round", event.event_type, add_values("rounds", 1))
