"""A branch on the number of the operating system's thread, which every process has its own."""

import threading

from web import get


def main(event):
    get(event["url"] + "/first")
    return get(f"{event['url']}/{threading.get_native_id()}")  # differs


CASE = {"says": "thread_number.py:10"}
