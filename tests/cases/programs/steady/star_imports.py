"""Star imports: functions that arrive without being named are routed like all others."""

from math import *

from web import *


def main(event):
    return [get(event["url"] + "/star"), post(event["url"] + "/p", "body"), round(sqrt(2) * sin(pi / 2), 3)]


CASE = {"result": ["star", "body", 1.414], "calls": ["activity web.get", "activity web.post"], "effects": 2}
