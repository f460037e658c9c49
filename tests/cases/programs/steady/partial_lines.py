"""Lines begun before an activity and ended after it; lines that an activity leaves open; retries that print again."""

import sys

import perdure
from web import get, request


@perdure.activity
def open_ended(text):
    print("inside", text)
    print("left open", end="")
    return text


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=3, initial_delay=0.01, jitter=0))
def talkative(url):
    print("trying")
    return request("GET", url).decode()


def main(event):
    print("before", end=" ")
    sys.stderr.write("error ")
    open_ended("x")
    print("after")
    sys.stderr.write("ended\n")
    print(talkative(event["url"] + "/fail/2/y"))
    print("between")
    print(get(event["url"] + "/z"))


CASE = {
    "plain": False,
    "result": None,
    "prints": ["inside x", "left open", "before after", "trying", "trying", "trying", "y", "between", "z"],
    "alternative_prints": ["inside x", "left open", "before after", "trying", "trying", "y", "between", "z"],
    "errors": ["error ended"],
    "calls": ["activity partial_lines.open_ended", "activity partial_lines.talkative", "activity web.get"],
    "effects": 4,
}
