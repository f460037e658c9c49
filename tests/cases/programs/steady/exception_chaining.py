"""Cause, context, notes and suppression survive, whether user code or an activity made them."""

import perdure
from web import HttpError, get, request


@perdure.activity
def wrapped(url):
    try:
        return request("GET", url)
    except HttpError as error:
        failure = RuntimeError("wrapped")
        failure.add_note("a note")
        raise failure from error


def main(event):
    url = event["url"]
    facts = []
    try:
        wrapped(url + "/status/500/inner")
    except RuntimeError as error:
        facts.append([str(error), type(error.__cause__).__name__, error.__cause__.status, error.__notes__])
    try:
        try:
            get(url + "/status/404/one")
        except HttpError as first:
            get(url + "/status/409/two")
    except HttpError as second:
        facts.append([second.status, second.__context__.status, second.__cause__])
    try:
        try:
            get(url + "/status/404/three")
        except HttpError:
            raise KeyError("hidden") from None
    except KeyError as third:
        facts.append([third.__suppress_context__, third.__context__.status])
    return facts


CASE = {
    "result": [["wrapped", "HttpError", 500, ["a note"]], [409, 404, None], [True, 404]],
    "calls": ["activity exception_chaining.wrapped"] + ["activity web.get"] * 3,
    "effects": 4,
}
