"""sys.exit(0) in the middle completes the session without a result; finally blocks run."""

import sys

from web import get


def main(event):
    try:
        print(get(event["url"] + "/one"))
        sys.exit(0)
    finally:
        print(get(event["url"] + "/two"))
    print("never")


CASE = {"result": None, "prints": ["one", "two"], "calls": ["activity web.get"] * 2, "effects": 2}
