"""time.sleep checks its argument as it always does."""

import time


def main(event):
    time.sleep(-1)


CASE = {"error": "ValueError", "says": "non-negative"}
