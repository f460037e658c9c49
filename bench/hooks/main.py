"""What each webhook of the benchmark starts: one call outside, so that its session is more than a row."""

import os


def arrived(event):
    return [os.getpid(), event.data.body.json]
