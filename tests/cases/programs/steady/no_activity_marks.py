"""@no_activity runs directly, its own calls are recorded; registered functions, modules and patterns leave no trace."""

import sys

import perdure
from web import get


@perdure.no_activity
def helper(url):
    return get(url + "/helped")


def main(event):
    sys.path.append(event["lib"])
    import outside

    before = outside.double(1)
    perdure.register_no_activity(outside.double)
    after = [outside.double(n) for n in range(5)]
    perdure.register_no_activity("outside.keyw*")
    return [before, after, outside.keywords(a=1), helper(event["url"])]


CASE = {
    "result": [2, [0, 2, 4, 6, 8], {"a": 1}, "helped"],
    "calls": ["activity outside.double", "activity web.get"],
    "effects": 1,
}
