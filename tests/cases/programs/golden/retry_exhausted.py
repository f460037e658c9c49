"""A retry policy that gives up: the last exception reaches user code."""

import perdure
from web import HttpError, request


@perdure.activity(retry=perdure.RetryPolicy(max_attempts=3, initial_delay=0.01, jitter=0.5))
def hopeless(url):
    return request("GET", url)


def main(event):
    try:
        hopeless(event["url"] + "/status/500/never")
    except HttpError as error:
        return f"gave up: {error}"


CASE = {
    "plain": False,
    "result": "gave up: 500 never",
    "calls": ["activity retry_exhausted.hopeless"],
    "effects": 3,
}
