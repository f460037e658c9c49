"""An external's exception that nobody catches ends the session as failed, with its type and message."""

from web import get


def deliver(url):
    return get(url + "/status/418/teapot")


def main(event):
    print("before")
    return deliver(event["url"])


CASE = {
    "error": "HttpError: 418 teapot",
    "prints": ["before"],
    "lines": ["main", "deliver"],
    "calls": ["activity web.get"],
    "effects": 1,
}
