"""What an exception carries: attributes, slots, notes, cause, context, and frames with lines and columns."""

import threading
import traceback

import perdure
from web import get, request


class ApiError(Exception):
    """Its constructor takes other arguments than it keeps, and one of its attributes is no value."""

    __slots__ = ("secret",)

    def __init__(self, response, *, status):
        super().__init__(f"status {status}")
        self.response = response
        self.status = status
        self.secret = 42


class Mine:
    def __init__(self):
        self.lock = threading.Lock()
        self.name = "mine"


@perdure.activity
def call(url):
    request("GET", url + "/call")
    try:
        int("seven")
    except ValueError as error:
        problem = ApiError({"body": [1]}, status=503)
        problem.add_note("tried once")
        problem.mine = Mine()
        raise problem from error


@perdure.activity
def hide(url):
    request("GET", url + "/hide")
    try:
        {}["k"]
    except KeyError:
        raise ApiError(None, status=1) from None


def main(event):
    facts = []
    try:
        call(event["url"])
    except ApiError as error:
        frames = traceback.extract_tb(error.__traceback__)
        facts += [str(error), error.response, error.status, error.secret, error.__notes__, error.mine.name]
        facts += [type(error.__cause__).__name__, str(error.__cause__), error.__suppress_context__]
        facts += [[frame.name for frame in frames if frame.filename == __file__], frames[-1].line]
    try:
        hide(event["url"])
    except ApiError as error:
        facts += [error.__cause__, error.__suppress_context__, type(error.__context__).__name__]
    get(event["url"] + "/end")
    return facts


CASE = {
    "result": [
        *("status 503", {"body": [1]}, 503, 42, ["tried once"], "mine"),
        *("ValueError", "invalid literal for int() with base 10: 'seven'", True),
        *(["main", "call"], "raise problem from error"),
        *(None, True, "KeyError"),
    ],
    "effects": 3,
}
