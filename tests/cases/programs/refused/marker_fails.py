"""A clock that is asked wrongly raises what it always raises."""

from datetime import datetime


def main(event):
    datetime.now("no time zone")


CASE = {"error": "TypeError", "says": "tzinfo"}
