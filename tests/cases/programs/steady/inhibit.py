"""Under inhibit_activities nothing is recorded; what is called there must be deterministic."""

import sys

import perdure
from web import get


def main(event):
    sys.path.append(event["lib"])
    import outside

    with perdure.inhibit_activities():
        doubled = [outside.double(n) for n in range(3)]
        with perdure.inhibit_activities():
            doubled.append(outside.double(10))
        doubled.append(outside.double(11))
    return [doubled, outside.double(4), get(event["url"] + "/after")]


CASE = {
    "result": [[0, 2, 4, 20, 22], 8, "after"],
    "calls": ["activity outside.double", "activity web.get"],
    "effects": 1,
}
