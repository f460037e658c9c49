"""A retry policy on the activity: it fails twice, then succeeds; user code sees the success only."""

import perdure
from web import request

POLICY = perdure.RetryPolicy(max_attempts=5, initial_delay=0.01, factor=1.5, jitter=0)


@perdure.activity(retry=POLICY)
def flaky(url):
    return request("GET", url).decode()


def main(event):
    first = flaky(event["url"] + "/fail/2/done")
    print("first", first)
    return [first, flaky(event["url"] + "/plain")]


CASE = {
    "plain": False,
    "result": ["done", "plain"],
    "prints": ["first done"],
    "calls": ["activity retry_decorator.flaky"] * 2,
    "effects": 4,
}
