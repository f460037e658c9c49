"""The project's variables are the environment; changes to it belong to the program."""

import os

from web import get


def main(event):
    limit = int(os.environ.get("LIMIT", "0"))
    got = [get(f"{event['url']}/{i}") for i in range(limit)]
    os.environ["MADE"] = "here"
    return [os.environ["GREETING"], os.getenv("ABSENT", "default"), "MADE" in os.environ, got, os.getenv("MADE")]


CASE = {
    "vars": {"GREETING": "hello", "LIMIT": "3"},
    "result": ["hello", "default", True, ["0", "1", "2"], "here"],
    "effects": 3,
}
