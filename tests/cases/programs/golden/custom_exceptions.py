"""Exceptions with their own constructors, attributes, slots and class hierarchies come back as they were."""

import perdure
from web import request


class ApiError(Exception):
    def __init__(self, code, *, detail, retry_after=None):
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retry_after = retry_after


class RateLimited(ApiError):
    def __init__(self, seconds):
        super().__init__(429, detail="slow down", retry_after=seconds)


class Silent(Exception):
    def __str__(self):
        return "custom text"


@perdure.activity
def call(url, kind):
    request("GET", f"{url}/{kind}")
    if kind == "api":
        raise ApiError(500, detail=["x", {"y": 1}])
    if kind == "limit":
        raise RateLimited(30)
    if kind == "group":
        raise ExceptionGroup("several", [ValueError("a"), RateLimited(5)])
    error = Silent("arg", 2)
    error.extra = {"k": (1, 2)}
    raise error


def main(event):
    facts = []
    for kind in ("api", "limit", "silent"):
        try:
            call(event["url"], kind)
        except ApiError as error:
            facts.append([type(error).__name__, str(error), error.code, error.detail, error.retry_after])
        except Silent as error:
            facts.append([str(error), list(error.args), error.extra == {"k": (1, 2)}])
    try:
        call(event["url"], "group")
    except* RateLimited as group:
        facts.append([group.exceptions[0].retry_after])
    except* ValueError as group:
        facts.append([str(group.exceptions[0])])
    return facts


CASE = {
    "result": [
        ["ApiError", "500: ['x', {'y': 1}]", 500, ["x", {"y": 1}], None],
        ["RateLimited", "429: slow down", 429, "slow down", 30],
        ["custom text", ["arg", 2], True],
        [5],
        ["a"],
    ],
    "calls": ["activity custom_exceptions.call"] * 4,
    "effects": 4,
}
