"""sys.exit with a code that is not zero fails the session."""

import sys


def main(event):
    sys.exit(3)


CASE = {"error": "SystemExit", "says": "3"}
