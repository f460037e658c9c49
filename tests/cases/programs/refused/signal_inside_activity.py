"""An activity cannot wait for signals: it would wait again in every attempt."""

import perdure


@perdure.activity
def wait():
    return perdure.next_signal("x", timeout=1)


def main(event):
    wait()


CASE = {"error": "Error", "says": "activity"}
