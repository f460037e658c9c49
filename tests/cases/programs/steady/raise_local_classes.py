"""Exceptions of classes that are defined inside functions are caught by these classes, in replay too."""

import perdure
from web import get, request


@perdure.activity
def fail(url, kind, *args):
    request("GET", url + "/fail")
    raise kind(*args)


@perdure.activity
def fail_with_own(url):
    request("GET", url + "/own")

    class Hidden(LookupError):
        def __str__(self):
            return "hidden: " + self.args[0]

    raise Hidden("x")


def main(event):
    class Refused(Exception):
        def __init__(self, code, reason="none"):
            super().__init__(reason)
            self.code = code

        def __reduce__(self):
            raise TypeError("not me")

    class Group(ExceptionGroup):
        pass

    facts = []
    try:
        fail(event["url"], Refused, 7, "busy")
    except Refused as error:
        facts.append([error.code, str(error), type(error) is Refused])
    try:
        fail_with_own(event["url"])
    except LookupError as error:
        facts.append([str(error), type(error).__name__])
    try:
        fail(event["url"], Group, "several", [Refused(1), KeyError("k")])
    except* Refused as group:
        facts.append([len(group.exceptions), group.message])
    except* KeyError as group:
        facts.append([str(group.exceptions[0]), group.message])
    get(event["url"] + "/end")
    return facts


CASE = {
    "result": [[7, "busy", True], ["hidden: x", "Hidden"], [1, "several"], ["'k'", "several"]],
    "effects": 4,
}
